"""Everything that can happen, a great many times, and two crashes in it; then every published record is verified."""

import random
import time
from collections.abc import Iterator
from itertools import count

import pytest
from click.testing import CliRunner

from streams.cli.main import cli
from tests.fault_runs.figures import Figures
from tests.fault_runs.load import LIMIT_S
from tests.fault_runs.scale import SEED, scale
from tests.inputs.workloads import Item, Rates, believable, parse_json

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

EVENTS = scale("VERIFIED_EVENTS", short=15_000, long=1_000_000)
APPLICATIONS_A_PART = 200
EVERYTHING = Rates(failure=0.25, erased=0.01, missing_event_id=0.01)
"""Failures, retries, supersessions, late and double events, tombstones, and strangers' keys."""


def everything() -> Iterator[Item]:
    """Parts of a few hundred applications each, until there are enough events."""
    published = 0
    for number in count():
        part = believable(SEED * 10_000 + number, APPLICATIONS_A_PART, rates=EVERYTHING)
        yield from part
        published += len(part)
        if published >= EVENTS:
            return


@pytest.mark.timeout(300 + EVENTS / 500)
def test_nothing_differs_after_crashes_in_the_middle_of_everything(installation, record_figures):
    """The log is folded again, and each change and each pair's factors are, byte for byte, what was published."""
    events = installation.publish(everything())
    rng = random.Random(SEED)
    worker = installation.start().wait_ready(installation.partitions)
    for share in (rng.uniform(0.1, 0.4), rng.uniform(0.5, 0.8)):
        installation.wait_progress(share, worker, limit_s=LIMIT_S)
        worker.kill()
        before, began = installation.progress(), time.monotonic()
        worker = installation.start().wait_ready(installation.partitions, limit_s=LIMIT_S)
    installation.wait_consumed(worker, limit_s=LIMIT_S)
    rate = (1 - before) * events / (time.monotonic() - began)
    worker.stop()
    began = time.monotonic()
    result = CliRunner(env=installation.variables).invoke(
        cli, ["replay", "--verify", "--format", "json"], catch_exceptions=False
    )
    verified_rate = events / (time.monotonic() - began)
    *differences, summary = map(parse_json, result.stdout.splitlines())
    assert differences == []
    assert (result.exit_code, summary["differences"]) == (0, 0)
    changes, factors = summary["factor_changes"], summary["factors"]
    record_figures(
        Figures(
            scenario="verified",
            fault="killed twice in the middle of failed, retried, superseding, late, double, foreign and erased events",
            held="replay --verify: every change and every pair's factors equal, byte for byte",
            events=events,
            faults=2,
            seeds=(SEED,),
            more={
                "changes equal": changes["equal"],
                "factors equal": factors["equal"],
                "unverifiable": changes["unverifiable"] + factors["unverifiable"],
                "worker after the last kill, its start included, events/s": round(rate),
                "verification, events/s": round(verified_rate),
            },
        )
    )
    assert changes["equal"] > EVENTS / 10
