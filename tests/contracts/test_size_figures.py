"""Every measured figure of `consolidator size` stands in the page that it names."""

import json
import re

import pytest

from benchmarks.record_bytes import measured
from streams.cli.output.operations.size_page import bytes_in_words
from streams.operations.measured_figures import FIGURES
from streams.operations.sizing import Plan, size_of
from tests.inputs.repository import ROOT

PAGES = ROOT / "docs" / "performance"


def page(name):
    return json.loads((PAGES / name).read_text(encoding="utf-8"))


RECORDS = page("record_bytes.json")
GROWTH = {one["value"]: one for one in page("growth.json")["points"] if one["part"] == "applications"}
SINK = {one["database"]: one for one in page("sink_kafka.json")["databases"]}
MEASUREMENTS = (PAGES / "measurements.md").read_text(encoding="utf-8")
BATCH_SIZE = re.search(r"batches of 4,000; [\d,]+ and [\d,]+, (\d+) and (\d+) MiB with batches of 1,500", MEASUREMENTS)
SMALL_ROUNDS = re.search(
    r"broker's CPU [\d.]+ to ([\d.]+) ms instead of [^,]*, and of the client's ([\d.]+)", MEASUREMENTS
)

ON_PAGES = {
    "change_bytes": RECORDS["change_bytes"],
    "factors_bytes": RECORDS["factors_bytes"],
    "changes": RECORDS["changes"] / RECORDS["events"],
    "pairs": RECORDS["pairs"] / RECORDS["applications"],
    "row_bytes": RECORDS["last_rows_bytes_per_event"],
    "changelog_bytes": RECORDS["changelog_bytes_per_event"],
    "state_bytes": GROWTH[10_000]["restart"]["disk_mib"] * 1024 * 1024 / GROWTH[10_000]["events"],
    "events_per_s": GROWTH[1_000_000]["events_per_s"],
    "cpu_s": GROWTH[1_000_000]["cpu_s_per_million"],
    "broker_cpu_s": GROWTH[10_000]["broker_cpu_s_per_million"],
    "rebuild_records": GROWTH[10_000]["restart"]["rebuild_records_per_s"],
    "round_cpu_ms": float(SMALL_ROUNDS[2]),
    "broker_round_cpu_ms": float(SMALL_ROUNDS[1]),
    "memory_16": float(BATCH_SIZE[1]),
    "memory_64": float(BATCH_SIZE[2]),
    "sink_changes": SINK["sqlite"]["changes_a_second"],
}
THREE_DIGITS = 0.002


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_is_the_one_on_its_page(name):
    """To three digits; a page that is made anew asks for the figure to be looked at."""
    assert FIGURES[name].value == pytest.approx(ON_PAGES[name], rel=THREE_DIGITS)
    file = FIGURES[name].source.partition(",")[0]
    assert (ROOT / file).is_file()


def test_every_figure_is_compared():
    """None is left out, and none is compared that is not there."""
    assert ON_PAGES.keys() == FIGURES.keys()


def test_what_the_operations_page_says_of_a_million_events_is_what_is_computed():
    """Disks of brokers and workers, to the digits that the command prints."""
    size = size_of(Plan(1_000_000))
    page_of_operations = " ".join((ROOT / "docs" / "operations.md").read_text(encoding="utf-8").split())
    assert (size.workers.partitions, size.workers.processes, size.workers.standbys) == (8, 2, 1)
    assert (
        f"{bytes_in_words(size.brokers.per_broker_bytes)} on each of three brokers after 25 months, eight partitions, "
        f"two workers with {bytes_in_words(size.workers.disk_bytes_each)} of disk each, one standby"
    ) in page_of_operations


@pytest.mark.slow
def test_the_bytes_of_records_are_those_of_this_program():
    """They depend on the code and the seed alone: what is published changes, if they do."""
    assert {"kind": "record_bytes", **measured(RECORDS["events"], seed=1)} == RECORDS
