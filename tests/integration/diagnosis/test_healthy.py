"""No healthy installation is called ill: new, idle, at work, after a re-publication, with dead letters."""

import pytest

from tests.inputs.workloads import believable
from tests.real_kafka.diagnosing import asked, examined, status_of
from tests.real_kafka.installation import Installation

pytestmark = [pytest.mark.kafka, pytest.mark.thorough]

CODE_FOUND = 1


def test_a_healthy_installation_is_well(installation: Installation) -> None:
    """Idle before the first event; with a stranger's and bad records consolidated; and the doctor tried a transaction.

    Re-published records leave a transaction's marker behind the group's offset: that is no lag.
    """
    worker = installation.start().wait_ready(installation.partitions)
    code, new = status_of(installation)
    assert (code, new["problems"], new["not_known"]) == (0, [], {})
    assert {one["state"] for one in new["partitions"]} == {"idle"}
    assert {one["owner"] for one in new["partitions"]} != {None}
    installation.publish(believable(261, 40))
    installation.publish_raw([(b"bad/record", b"[1]", 0)])
    installation.wait_consumed(worker)
    code, known = status_of(installation)
    assert (code, known["problems"]) == (0, [])
    assert {one["state"] for one in known["partitions"]} == {"idle"}
    assert {one["lag_offsets"] for one in known["partitions"]} == {0}
    assert known["dead_letters"]["by_error_class"]["not_an_object"] >= 1
    assert known["last_change"]["offset"] >= 0
    [ruleset] = {one["ruleset"] for one in known["rulesets"]["partitions"]}
    assert ruleset == "sample-underwriting/2026.1"
    found = examined(installation, "--try-transaction")
    assert (found.code, found.ill, found.not_asked) == (0, {}, []), found.said
    assert "a transaction was tried" in found.checks["broker"]["says"]
    assert "of the broker's" in found.checks["clock"]["says"]
    worker.stop()


def test_no_worker_is_said(installation: Installation) -> None:
    """Nothing waits yet: a warning; with an event it is critical; and the status ends with 1."""
    found = examined(installation)
    assert found.code == CODE_FOUND
    assert found.ill == {"group": [f"no worker runs: nobody is in the group {installation.name}"]}
    assert found.findings("group")[0]["severity"] == "warning"
    installation.publish(believable(262, 2))
    assert examined(installation).findings("group")[0]["severity"] == "critical"
    code, status = status_of(installation)
    assert (code, status["problems"]) == (CODE_FOUND, [f"no worker runs: nobody is in the group {installation.name}"])
    screen = asked(installation, "status")
    assert "WRONG: no worker runs" in screen.stdout
    assert "unowned" in screen.stdout
