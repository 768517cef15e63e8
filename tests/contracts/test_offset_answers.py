"""Whoever asks Kafka for an offset has the answer judged in the one place that knows what is none."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("clients/python/consolidator", "topics", "streams")
SOURCES = sorted(file for package in PACKAGES for file in (ROOT / package).rglob("*.py"))
JUDGES = {"consolidator.connecting.offsets", "streams.worker.transport.offset_questions"}
QUESTIONS = {
    "beginning_offsets",
    "get_watermark_offsets",
    "list_consumer_group_offsets",
    "list_offsets",
    "offsets_for_times",
    "last_stable_offset",
    "highwater",
}
"""What confluent-kafka's and aiokafka's clients are asked with; Faust's own questions end in the transport's."""


def questions(source: str) -> list[str]:
    """The questions in a source that has no judge, each with its line."""
    tree = ast.parse(source)
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    asked = [
        f"line {node.lineno}: {node.func.attr}"
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in QUESTIONS
    ]
    return [] if imported & JUDGES else asked


@pytest.mark.parametrize("file", SOURCES, ids=lambda file: str(file.relative_to(ROOT)))
def test_no_answer_is_taken_unjudged(file):
    """A number below 0 is not compared with an offset."""
    assert questions(file.read_text(encoding="utf-8")) == []


def test_an_unjudged_question_is_found():
    """The search itself finds what it is for."""
    asked = "low, high = consumer.get_watermark_offsets(place)"
    assert questions(asked)
    assert not questions(f"from consolidator.connecting.offsets import require_offsets\n{asked}")
