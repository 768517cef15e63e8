"""Which drift may be mended by a command: whatever removes nothing."""

import pytest

from topics.contract.drift import MISSING, PARTITIONS, REPLICATION, Drift, may_be_altered


@pytest.mark.parametrize(
    ("setting", "actual", "expected", "may"),
    [
        (PARTITIONS, "3", "4", False),
        (REPLICATION, "1", "3", False),
        (MISSING, "missing", "exists", False),
        ("retention.ms", "604800000", "-1", True),
        ("retention.ms", "-1", "2592000000", False),
        ("retention.ms", "2592000001", "2592000000", False),
        ("retention.bytes", "1", "-1", True),
        ("min.compaction.lag.ms", "0", "65750400000", True),
        ("min.compaction.lag.ms", "65750400001", "65750400000", False),
        ("min.compaction.lag.ms", "5", "(not set)", False),
        ("max.compaction.lag.ms", "5", "(not set)", True),
        ("delete.retention.ms", "86400000", "2592000000", True),
        ("delete.retention.ms", "86400000", "(not set)", False),
        ("cleanup.policy", "delete", "compact", True),
        ("cleanup.policy", "compact,delete", "compact", True),
        ("cleanup.policy", "compact", "compact,delete", False),
        ("min.insync.replicas", "1", "2", True),
        ("max.message.bytes", "1", "1048576", True),
        ("message.timestamp.type", "CreateTime", "LogAppendTime", True),
    ],
)
def test_what_may_be_altered(setting, actual, expected, may):
    """What would let records go, or go sooner, is left to people."""
    assert may_be_altered(Drift("executions", setting, expected, actual)) is may
