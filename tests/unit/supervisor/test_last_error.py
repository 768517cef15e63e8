"""What is told of a child's log: why it ended, and nothing else."""

import json

import pytest

from streams.supervisor.last_error import last_error

ID = "application-4711"


def line(level, event, **members):
    return json.dumps({"event": event, "level": level, "application_id": ID, "exception": ID, **members})


HALTED = line("critical", "worker halted", error="no topic\nto do: apply", kind="ContractError")
FAILED = line("error", "rows quarantined", partition=3)


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ([HALTED, line("info", "later"), FAILED], "worker halted: no topic\nto do: apply"),
        ([HALTED, line("critical", "worker crashed", error="KeyError(1)")], "worker crashed: KeyError(1)"),
        ([FAILED, line("warning", "execution failed")], "rows quarantined"),
        ([line("info", "worker started")], ""),
        ([FAILED, "error: KAFKA_BOOTSTRAP_SERVERS is empty"], "KAFKA_BOOTSTRAP_SERVERS is empty"),
        (["no JSON", "[]", "7", '{"level": "critical"', line("critical", None)], ""),
        ([], ""),
    ],
)
def test_the_last_error_is_told_without_ids(tmp_path, lines, told):
    """Of the last critical line, or else the last error, what happened and why; of other lines nothing."""
    file = tmp_path / "worker.log"
    file.write_text("\n".join([*lines, ""]))
    assert last_error(file) == told
    assert ID not in last_error(file)


def test_a_long_log_is_read_at_its_end(tmp_path):
    """What is cut in two there is no line; and what is told is not endless."""
    file = tmp_path / "worker.log"
    file.write_text("\n".join([line("error", "first"), line("info", "x" * 100_000), line("error", "y" * 10_000)]))
    assert last_error(file) == "y" * 2_000


def test_a_log_that_is_not_there_says_nothing(tmp_path):
    """A child that was never started has none."""
    assert last_error(tmp_path / "none.log") == ""
