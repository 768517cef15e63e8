"""What this process has published is not decoded again: who needs it takes the values of the fold's result."""

import ast
from collections.abc import Iterator

import pytest

from tests.contracts.test_repository import ROOT, modules

DECODERS = {
    "change_of",
    "current_of",
    "decode_change",
    "decode_factors",
    "head_of",
    "unreadable_because",
    "from_json",
    "loads",
    "decode",
    "Decoder",
}
"""The names under which published JSON is decoded: our own functions, and those of json and msgspec.json."""

READERS = ("streams/partition/", "streams/replay/", "streams/audit/", "streams/cli/output/parquet.py")
"""Where a fold's result is made or read."""

FROM_ELSEWHERE = {
    "streams/audit/published.py": "decodes records of Kafka; whom it serves is below",
    "streams/audit/published_head.py": "likewise",
    "streams/audit/live_ruleset.py": "the newest changes in Kafka",
    "streams/audit/history/current.py": "the records of factors and factor-changes in Kafka",
    "streams/audit/evidence/collect.py": "the published records in Kafka",
    "streams/audit/evidence/content.py": "the files of an evidence directory",
    "streams/audit/verification/changes.py": "the published changes, which a replay's are compared with",
    "streams/audit/verification/factors.py": "the published factors, likewise",
    "streams/audit/verification/verify.py": "a published value and a replayed one, for the words of a few findings",
    "streams/audit/comparison/side_by_side.py": "factors that a table on disk keeps: not what is published",
    "streams/replay/event_lines.py": "the lines of a file",
    "streams/partition/state/row_codec.py": "rows in MessagePack: the state",
    "streams/partition/judge.py": "likewise",
}
"""What these decode does not come from a fold of the same process, or is no published record."""


def decoders(path: str) -> Iterator[str]:
    """Yield what a module calls or imports to decode JSON or MessagePack."""
    for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            yield from (alias.name for alias in node.names if alias.name in DECODERS)
        elif isinstance(node, ast.Attribute) and node.attr in DECODERS and not _is_text(node):
            yield node.attr


def _is_text(node: ast.Attribute) -> bool:
    """Whether it is ``bytes.decode``, on anything but a module."""
    return node.attr == "decode" and not (isinstance(node.value, ast.Attribute) and node.value.attr == "json")


@pytest.mark.parametrize("path", [str(file) for file in modules() if str(file).startswith(READERS)])
def test_nothing_that_was_just_published_is_decoded(path):
    """Only modules that read from Kafka, from a file or from the state decode anything."""
    found = {*decoders(path)}
    assert not found or path in FROM_ELSEWHERE, f"{path} decodes ({found}): Folded.changes has the values"


def test_every_exception_is_one():
    """A module that decodes nothing any more leaves the list."""
    assert [path for path in FROM_ELSEWHERE if not {*decoders(path)}] == []
