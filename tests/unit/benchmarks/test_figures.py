"""What the benchmarks compute from their measurements, and how they tell it."""

import argparse
import json
from decimal import Decimal
from xml.etree import ElementTree as ET

import pytest

from benchmarks.compare import Standing, comparison_table, named_sides, rotated
from benchmarks.growth import points, restart_table
from benchmarks.guard import best
from benchmarks.latency import Plan, latencies_ms, latency_table, medians
from benchmarks.report.charts import Bar, bar_chart
from benchmarks.report.percentiles import percentile, percentiles
from benchmarks.report.performance_page import performance_page, plots
from benchmarks.report.results import canonical, differences
from benchmarks.report.tables import ratio, spread, table
from benchmarks.sides.launch import SIDES
from benchmarks.throughput import Run, covers

PAIR = ("app-1", "bank_statement")


def run(speed, *, complete=True, wrong=()):
    return Run(speed, 2.0, 40.0, 10.0, 120.0, 1_000, complete, wrong=tuple(wrong))


def test_percentiles_are_measured_values_of_the_nearest_rank() -> None:
    """Of 1,000 values the 999th is p99.9, and one value is every percentile of itself."""
    values = [float(number) for number in range(1, 1_001)]
    assert percentiles(reversed(values)) == {"p50": 500.0, "p99": 990.0, "p99.9": 999.0, "max": 1_000.0}
    assert percentile([7.0], 99.9) == 7.0
    assert percentile([1.0, 2.0], 50) == 1.0
    assert percentiles([]) == {}


@pytest.mark.parametrize(
    ("left", "right", "equal"),
    [
        (11000, Decimal("11000.00"), True),
        (11000.0, 11000, True),
        (1, True, False),
        (0, False, False),
        ("1", 1, False),
        (0.1, Decimal("0.1"), True),
    ],
)
def test_factors_are_compared_by_type_and_number(left, right, equal) -> None:
    """Spellings of one number are equal; a number, a boolean and a text never are."""
    assert (canonical(left) == canonical(right)) is equal


def test_a_difference_is_told_with_what_was_expected() -> None:
    """A wrong, a missing and an unexpected pair are counted, and the first ones shown."""
    expected = {PAIR: {"f_months_analyzed": 2}, ("app-2", "credit_check"): {"f_credit_score": 700}}
    assert (
        differences(expected, {PAIR: {"f_months_analyzed": 2}, ("app-2", "credit_check"): {"f_credit_score": 700}})
        == []
    )
    told = differences(expected, {PAIR: {"f_months_analyzed": 3}, ("app-3", "credit_check"): {"f_credit_score": 1}})
    assert told[0] == "3 of 2 pairs differ"
    assert "expected {'f_months_analyzed': 2}, found {'f_months_analyzed': 3}" in told[1]


def test_no_factors_and_never_told_of_are_the_same() -> None:
    """Not every side says that a pair has no factors."""
    assert differences({PAIR: {}}, {}) == []
    assert differences({}, {PAIR: {}}) == []


def test_a_speed_counts_only_after_the_results_were_equal() -> None:
    """A side that was wrong or never compared has no speed; a limit has nothing to compare."""
    worker = SIDES["worker"]
    assert Standing(worker, [run(100.0)], checked=True).speeds == [100.0]
    assert Standing(worker, [run(100.0)]).speeds == []
    assert (
        Standing(worker, [run(100.0), run(None, wrong=["1 of 9 pairs differ"])], checked=True, wrong=("x",)).speeds
        == []
    )
    assert Standing(SIDES["consume"], [run(100.0)]).speeds == [100.0]


def test_the_tables_relate_like_with_like() -> None:
    """One with one, two with two, limits apart; a side without a speed has no ratio."""
    standings = [
        Standing(SIDES["worker"], [run(300.0), run(200.0), run(400.0)], checked=True),
        Standing(SIDES["worker-2"], [run(450.0)], checked=True),
        Standing(SIDES["quix-eos"], [run(100.0)], checked=True),
        Standing(SIDES["quix-alo"], [run(None)], wrong=("3 of 9 pairs differ",)),
        Standing(SIDES["streams-eos-1"], left_out="mvn is not on the PATH"),
        Standing(SIDES["streams-eos-2"], [run(150.0)], checked=True),
        Standing(SIDES["poll"], [run(600.0)]),
    ]
    text = comparison_table([json.loads(json.dumps(standing.as_json())) for standing in standings])
    one, two, limits = (part.splitlines() for part in text.split(":\n\n")[1:])
    assert "| this worker is |" in one[0]
    assert "300 (200-400) " in one[2]
    assert "1.00 x |" in one[2]
    assert "3.00 x |" in one[3]
    assert "WRONG: 3 of 9 pairs differ" in one[4]
    assert "left out: mvn is not on the PATH" in one[5]
    assert " x " not in one[4] + one[5]
    assert "| this worker, 2 processes is |" in two[0]
    assert ["1.00 x" in two[2], "3.00 x" in two[3]] == [True, True]
    assert "0.50 x" in limits[2]


def test_nothing_unlike_stands_side_by_side() -> None:
    """Neither in a table nor in a plot do two processes of ours stand beside one of a peer."""
    sides = [Standing(side, [run(100.0)], checked=True).as_json() for side in SIDES.values()]
    for part in comparison_table(sides).split("\n\n")[1::2]:
        widths = {side.width for side in SIDES.values() if f"| {side.title} " in part}
        assert len(widths) == 1
    for name, plot in plots([{"kind": "comparison", "sides": sides}]).items():
        assert ("this worker, 2 processes" in plot) == (name == "throughput-two.svg")
        assert ("Quix Streams" in plot) == (name == "throughput.svg")


def test_each_run_begins_with_another_side() -> None:
    """Every side takes every turn once."""
    standings = [Standing(side) for side in named_sides("worker,worker-2,faust")]
    assert [rotated(standings, by)[0].side.name for by in range(4)] == ["worker", "worker-2", "faust", "worker"]


def test_an_unknown_side_is_refused_by_name() -> None:
    """The message names it and those that there are."""
    assert [side.name for side in named_sides("quix-eos,worker")] == ["quix-eos", "worker"]
    assert len(named_sides("all")) == len(SIDES)
    with pytest.raises(argparse.ArgumentTypeError, match="no such side: flink; there are: worker"):
        named_sides("worker,flink")


def test_workers_are_ready_when_they_share_all_partitions() -> None:
    """Each holds some, none is held twice, and what was released is not held."""

    def ready(*partitions: int) -> str:
        return json.dumps({"event": "partitions ready", "offsets": {str(p): 0 for p in partitions}}) + "\n"

    released = json.dumps({"event": "partitions released", "partitions": [0, 1, 2, 3]}) + "\n"
    everything = ready(0, 1, 2, 3)
    assert not covers([everything, ""], 4)
    assert not covers([everything, ready(2, 3)], 4)
    assert not covers([everything + released, ready(2, 3)], 4)
    assert covers([everything + released + ready(0, 1), ready(2, 3)], 4)


def test_latency_counts_what_arrived_of_what_was_sent_in_time() -> None:
    """Warm-up events and events without a change are left out."""
    sent = {"early": 1_000_000, "late": 5_000_000, "silent": 6_000_000}
    assert latencies_ms(sent, {"early": 2_000_000, "late": 7_500_000}, since_ns=4_000_000) == [2.5]


def test_a_latency_is_the_median_of_its_rounds() -> None:
    """Each percentile on its own; a side kept up if it did in every round; a round without a change has no share."""

    def round_of(p50: float, *, kept_up: bool = True) -> list[dict[str, object]]:
        found = {"p50": p50, "p99": p50 * 3} if p50 else {}
        figure = {"rate": 100.0, "achieved_rate": 99.0, "changes": 7, "kept_up": kept_up, "latency_ms": found}
        return [figure]

    (figure,) = medians([round_of(10.0), round_of(12.0), round_of(9.0, kept_up=False), round_of(0)])
    assert figure["latency_ms"] == {"p50": 10.0, "p99": 30.0}
    assert figure["changes"] == 28
    assert not figure["kept_up"]
    shown = latency_table([{"title": "us", "guarantee": "exactly once", "left_out": "", "rates": [figure]}])
    assert "10.0 (9.0-12.0)" in shown
    assert "| no " in shown


def test_the_guard_takes_the_best_run_and_no_wrong_one() -> None:
    """Noise makes a run slower only; a wrong result spoils all."""
    assert best([3.0, 5.0, 4.0]) == 5.0
    with pytest.raises(SystemExit, match="no speed counts"):
        best([3.0, None])


def test_growth_varies_one_dimension_at_a_time() -> None:
    """Every point of a part has its own value and the others' defaults; the ends are restarted."""
    values = {"applications": (10, 100, 1_000), "executions": (5, 50), "workers": (1, 2), "partitions": (1, 8)}
    found = points(["applications", "executions", "workers", "partitions"], 20_000, values)
    assert [point.workload.applications for point in found[:3]] == [10, 100, 1_000]
    assert [point.restarted for point in found[:3]] == [True, False, True]
    assert found[3].workload.applications > found[4].workload.applications
    assert [point.workers for point in found] == [1, 1, 1, 1, 1, 1, 2, 1, 1]
    assert [point.workload.partitions for point in found] == [4] * 7 + [1, 8]


def test_cells_line_up_and_missing_values_are_dashes() -> None:
    """Numbers are aligned to the right, bars in a cell escaped."""
    assert table([("side", "n"), ("a|b", "12")], right=(1,)) == "| side |   n |\n| ---- | --: |\n| a\\|b |  12 |"
    assert spread([]) == ratio(None, 3.0) == ratio(3.0, None) == "-"
    assert spread([1_000.0]) == "1,000"
    assert restart_table([{"value": 1}]) == ""


def test_a_plot_is_svg_with_every_bar() -> None:
    """The longest bar fills the room, labels are escaped, and no bar is no error."""
    svg = ET.fromstring(bar_chart("A & B", [Bar("<us>", 10.0, "10", ours=True), Bar("them", 5.0, "5", ours=False)]))
    space = "{http://www.w3.org/2000/svg}"
    widths = [float(bar.get("width")) for bar in svg.findall(f"{space}rect")[1:]]
    assert widths[0] == 2 * widths[1] > 0
    assert "<us>" in [text.text for text in svg.findall(f"{space}text")]
    ET.fromstring(bar_chart("empty", []))


def test_the_page_has_what_was_measured_and_nothing_else() -> None:
    """A comparison alone makes a page with its table, workload, machine and plot, and no section on latency."""
    report = {
        "kind": "comparison",
        "machine": {"cpu": "Example CPU", "cores": 2, "memory_gib": 24, "kernel": "6.1"},
        "versions": {"Python": "CPython 3.11.7"},
        "workload": {
            "events": 400_000, "applications": 20_000, "partitions": 4, "failure_rate": 0.2, "zipf": None,
            "event_bytes": None, "processors": 5, "seed": 1,
        },
        "settings": {"runs": 5, "commit_interval_ms": 500},
        "sides": [Standing(SIDES["worker"], [run(50_000.0)], checked=True).as_json()],
    }  # fmt: skip
    page = performance_page([report], directory="performance", limits="The fold.")
    assert "400,000 events of about 450 bytes, 20,000 applications" in page
    assert "50,000" in page
    assert "2 cores (Example CPU), 24 GiB" in page
    assert "What limits it now\n\nThe fold." in page
    assert "Latency, end to end" not in page
    assert list(plots([report])) == ["throughput.svg", "throughput-two.svg"]
    assert "(performance/throughput.svg)" in page
    assert "Ratios differ by machine" in page


def test_the_page_has_the_databases_rates_and_memory() -> None:
    """Medians of the pieces with their extremes; and the run behind a real broker."""
    about = {
        "machine": {"cpu": "Example CPU", "cores": 2, "memory_gib": 24, "kernel": "6.1"},
        "versions": {"SQLite": "3.40.1"},
        "settings": {"events": 600_000, "load": 0.25},
    }
    pieces = [{"changes_a_second": rate, "resident_mib": 300} for rate in (12_000, 11_000, 10_000)]
    asked, answered = {"median": 0.25, "p99": 0.5}, {"median": 3.0, "p99": 5.25}
    stored = {"database": "sqlite", "executions": 1_000_000, "pieces": pieces, "get_active_executions_ms": asked}
    stored |= {"factors_ms": answered, "factors_at_ms": answered}
    behind = {"database": "sqlite", "events": 1_000, "changes_a_second": 9_000, "cpu_seconds": 1.5, "peak_mib": 200}
    page = performance_page(
        [{"kind": "sink", "databases": [stored], **about}, {"kind": "sink_kafka", "databases": [behind], **about}],
        directory="performance",
    )
    assert "1,000,000 | 11,000 (10,000-12,000) |" in page
    assert "0.25 | 0.50 |" in page
    assert "3.00 | 5.25 |" in page
    assert "9,000 |" in page
    assert "SQLite 3.40.1" in page
    assert "load average when it began: 0.2" in page


def test_the_page_compares_a_subscription_with_a_bare_loop() -> None:
    """By rate and by CPU; the size of what was read is told."""
    figures = {"changes_a_second": 100_000, "changes_a_cpu_second": 160_000, "peak_mib": 90}
    slower = {"changes_a_second": 80_000, "changes_a_cpu_second": 120_000, "peak_mib": 95}
    report = {
        "kind": "subscribers",
        "machine": {"cpu": "Example CPU", "cores": 2, "memory_gib": 24, "kernel": "6.1"},
        "versions": {"msgspec": "0.22.0"},
        "settings": {"changes": 500_000, "bytes": 1_226, "runs": 5, "load": 0.25},
        "sides": [{"side": "bare", **figures}, {"side": "subscription", **slower}],
    }
    page = performance_page([report], directory="performance")
    assert "500,000 changes of 1,226 bytes, medians of 5 runs" in page
    assert [line.split() for line in page.splitlines() if line.startswith("| subscription")] == [
        ["|", "subscription", "|", "80,000", "|", "0.80", "|", "120,000", "|", "0.75", "|", "95", "|"]
    ]


def test_a_peers_commit_interval_can_be_set_and_the_workers_cannot() -> None:
    """The command line wins over what was found best; the worker commits by its batches."""
    assert Plan((100.0,), 1, 1, 1).commit_ms_of(SIDES["quix-eos"]) == 10
    assert Plan((100.0,), 1, 1, 1, commit_ms=50).commit_ms_of(SIDES["quix-eos"]) == 50
    assert Plan((100.0,), 1, 1, 1, commit_ms=50).commit_ms_of(SIDES["worker"]) is None
    assert Plan((100.0, 1_000.0), 10, 2, 5).events == 20_000 + 13_200


def test_the_page_has_the_bytes_of_records() -> None:
    """They need no machine, as they are counted."""
    report = {
        "kind": "record_bytes",
        "events": 1_000,
        "applications": 50,
        "changes": 450,
        "pairs": 200,
        "event_value_bytes": 449.6,
        "change_bytes": 1_089.1,
        "factors_bytes": 717.4,
        "changelog_bytes_per_event": 611.0,
        "last_rows_bytes_per_event": 116.3,
    }
    page = performance_page([report], directory="performance")
    assert "0.450 changes for each event, 4.00 pairs for each application" in page
    assert "| a record of `factor-changes` | 1,089.1 |" in " ".join(page.split())
