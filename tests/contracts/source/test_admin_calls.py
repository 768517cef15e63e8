"""In tests a question to a cluster's administration goes through the place that gives it less time than its test."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
THE_PLACE = ROOT / "tests" / "real_kafka" / "admin_calls.py"
SOURCES = [file for file in sorted((ROOT / "tests").rglob("*.py")) if file != THE_PLACE]
CALLS = {
    "alter_user_scram_credentials",
    "create_acls",
    "create_partitions",
    "create_topics",
    "delete_acls",
    "delete_consumer_groups",
    "delete_records",
    "delete_topics",
    "describe_acls",
    "describe_configs",
    "describe_consumer_groups",
    "describe_user_scram_credentials",
    "incremental_alter_configs",
    "list_consumer_groups",
    "list_topics",
}
"""What confluent-kafka's admin client is asked with."""


def offences(source: str) -> list[str]:
    """The questions that have a time of their own, each with its line: a test's, librdkafka's minute, or none."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CALLS:
            # An installation has methods of the same names.
            if not ast.unparse(node.func.value).endswith(("admin", "client", ")")):
                continue
            limits = [ast.unparse(one.value) for one in node.keywords if one.arg in {"request_timeout", "timeout"}]
            if limits != ["ask_s"]:
                found.append(f"line {node.lineno}: {node.func.attr}")
    return found


@pytest.mark.parametrize("file", SOURCES, ids=lambda file: str(file.relative_to(ROOT)))
def test_no_question_may_take_as_long_as_its_test(file):
    """Each is asked for a few seconds, and again."""
    assert offences(file.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "source",
    [
        "AdminClient(config).list_consumer_groups(request_timeout=LIMIT_S).result(LIMIT_S)",
        "admin.delete_topics([topic])[topic].result(LIMIT_S)",
        "admin.list_topics(timeout=LIMIT_S)",
    ],
)
def test_an_offence_is_found(source):
    """The search itself finds what it is for."""
    assert offences(source)
    assert not offences("answered(lambda ask_s: admin.delete_topics([topic], request_timeout=ask_s)[topic])")
