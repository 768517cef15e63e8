"""What status and doctor print: in 80 columns, and of many partitions those that wait."""

from dataclasses import replace

from streams.cli.output.operations.examination import lines_of, summary_of
from streams.cli.output.operations.status_screen import screen_of
from streams.diagnosis.checks.partitions import partition_members, problems, ranges, state_of
from streams.diagnosis.doctor import judge
from streams.diagnosis.reading.answer import Unanswered
from streams.diagnosis.reading.group import Group, Member
from streams.diagnosis.reading.health import Health
from streams.diagnosis.reading.letters import OpenLetters
from streams.diagnosis.reading.pins import Pin
from streams.diagnosis.status import Database
from streams.sink.upkeep.status import PartitionStatus
from streams.sink.upkeep.status import Status as DatabaseStatus
from tests.inputs.diagnosed import NOW_MS, facts_of, kafka_facts, progress_of, status_of

COLUMNS, LINES = 80, 24

HEALTHY = """\
lending, Kafka at 10.0.0.1:9092, 2026-02-25T06:13:20Z
nothing is wrong
workers        2 in the group, which is stable
               9f3c0a11b2c3 at 10.0.0.5: partitions 0, 1
               c4d5e6f70819 at 10.0.0.6: partitions 2, 3
lag            none
ruleset        {ruleset}
dead letters   none open
last change    2.0 s ago, factor-changes partition 2 offset 1,500

partition  state  lag  waits  committed    end  owner
        0  idle     0      -      1,204  1,205  9f3c0a11b2c3
        1  idle     0      -      1,204  1,205  9f3c0a11b2c3
        2  idle     0      -      1,204  1,205  c4d5e6f70819
        3  idle     0      -      1,204  1,205  c4d5e6f70819
"""

ILL = """\
lending, Kafka at 10.0.0.1:9092, 2026-02-25T06:13:20Z
WRONG: partition 3 stands still at offset 1204: its first record waits for 95 s
WRONG: database: partition 0: 2 rows in sink_quarantine
workers        2 in the group, which is stable
               9f3c0a11b2c3 at 10.0.0.5: partitions 0, 1
               c4d5e6f70819 at 10.0.0.6: partitions 2, 3
lag            3 offsets in 1 of 4 partitions, the first waits for 95 s
ruleset        {ruleset}
dead letters   3 open: unknown_status 2, invalid_time 1
last change    2.0 s ago, factor-changes partition 2 offset 1,500
sink           lending-sink-1a2b: 1 in the group, which is stable
database       sqlite:///x: 12 offsets behind the log, seen 2.0 s ago
health         worker h/worker-0 at h:1: alive, ready

partition  state  lag  waits  committed    end  owner
        0  idle     0      -      1,204  1,205  9f3c0a11b2c3
        1  idle     0      -      1,204  1,205  9f3c0a11b2c3
        2  idle     0      -      1,204  1,205  c4d5e6f70819
        3  stuck    3   95 s      1,204  1,207  c4d5e6f70819
"""


def shown(status, **options):
    lines = list(screen_of(status, **options))
    assert max(map(len, lines)) <= COLUMNS
    return "\n".join(lines) + "\n"


def ruleset(status):
    [digest] = status.rulesets.digests
    return status.rulesets.text(digest)


def test_the_screen_of_a_healthy_installation():
    """One look tells that nothing is wrong."""
    status = status_of()
    assert shown(status, lines=LINES) == HEALTHY.format(ruleset=ruleset(status))


def test_the_screen_of_an_ill_one():
    """What is wrong comes first."""
    refused = PartitionStatus(0, 10, "sink", 1, 2.0, 2, 0, 12, 0.0)
    status = status_of(
        progress=(*map(progress_of, range(3)), progress_of(3, waits_s=95)),
        other=dict.fromkeys(range(4), 1_204),
        letters=OpenLetters({"unknown_status": 2, "invalid_time": 1}, is_complete=True),
        sinks=(Group("lending-sink-1a2b", "stable", (Member("x", "h", (0,)),)),),
        database=Database("sqlite:///x", DatabaseStatus((refused,), {})),
        health={
            "h:1": Health(
                "h:1",
                is_alive=True,
                is_ready=True,
                role="worker",
                worker="h/worker-0",
                version="0.1.0",
                states={3: "running"},
            )
        },
    )
    assert shown(status, lines=LINES) == ILL.format(ruleset=ruleset(status))


def test_of_many_partitions_those_that_wait_are_shown():
    """The screen stays one; the rest is said to be idle."""
    people = tuple(Member(f"w{one}", "10.0.0.5", tuple(range(one, 64, 8))) for one in range(8))
    progress = tuple(progress_of(one, waits_s=None if one % 16 else 2.5) for one in range(64))
    status = status_of(progress=progress, group=Group("lending", "stable", people))
    status = replace(status, where=replace(status.where, partitions=64))
    screen = shown(status, lines=LINES).splitlines()
    assert len(screen) <= LINES
    assert screen[-1] == "and 60 more, all idle"
    assert [line.split()[:2] for line in screen[-5:-1]] == [[str(one), "running"] for one in (0, 16, 32, 48)]
    assert len(shown(status).splitlines()) > 64
    assert "and 4 more" in "\n".join(screen)


def test_what_is_not_known_is_said():
    """It is no zero, and nobody is called absent."""
    away = Unanswered("not permitted: Describe on group lending", is_refused=True)
    status = status_of(group=away, letters=away)
    text = shown(status, lines=LINES)
    assert "the group      not known: not permitted: Describe on group lending" in text
    assert "none open" not in text
    assert "nobody" not in text
    assert problems(status) == []
    assert partition_members(status)[0]["owner"] is None


def test_one_cause_is_one_problem():
    """A worker that is not alive because a partition stands still is not told once more; its line shows it."""
    worker = Health("h:1", is_alive=False, is_ready=False, role="worker", worker="w", version="1", states={3: "stuck"})
    status = status_of(
        progress=(*map(progress_of, range(3)), progress_of(3, waits_s=95)),
        other=dict.fromkeys(range(4), 1_204),
        health={"h:1": worker},
    )
    assert [problem.split(":")[0] for problem in problems(status)] == ["partition 3 stands still at offset 1204"]
    assert "health         worker w at h:1: NOT ALIVE, NOT READY" in shown(status)
    found = {check.name: check.findings for check in judge(replace(facts_of(), status=status))}
    [note] = found["health"]
    assert (note.severity, note.what) == (
        "note",
        "worker at h:1 is not alive: partition 3 stands still, as the check group says",
    )
    assert [one.severity for one in found["group"]] == ["critical"]


def test_the_lag_is_named_after_what_it_counts():
    """Offsets, and none where no record is among them."""
    status = status_of(progress=(progress_of(0), progress_of(1, waits_s=4, lag=7)))
    assert [(one["lag_offsets"], one["lag_seconds"]) for one in partition_members(status)] == [(0, 0), (7, 4)]


def test_a_pinned_partition_is_no_idle_one():
    """Nothing behind the transaction can be read, so no lag shows."""
    status = status_of(pins=(Pin("executions", 1, 7, 30, NOW_MS - 95_000),))
    assert [state_of(status, one) for one in status.progress] == ["idle", "pinned", "idle", "idle"]
    assert "a transaction is open for 95 s" in problems(status)[0]


def test_numbers_are_written_as_ranges():
    """Runs of three and more."""
    assert ranges([7, 0, 1, 2, 3, 9, 10]) == "0 to 3, 7, 9, 10"
    assert ranges([]) == ""


def test_the_doctor_says_what_to_do():
    """A line for the finding, one for what it means, one for the remedy; well is said in one line a check."""
    checks = judge(facts_of(status={"group": Group("lending", "empty")}))
    lines = list(lines_of(checks))
    at = next(number for number, line in enumerate(lines) if line.startswith("WARNING"))
    assert lines[at : at + 3] == [
        "WARNING   group              no worker runs: nobody is in the group lending",
        "          means  nothing waits yet; the next event will",
        "          to do  consolidator run",
    ]
    assert "well      topics             7 as declared" in lines
    assert summary_of(checks)["says"] == "found: 1 warning"


def test_the_doctor_says_what_it_could_not_ask():
    """Apart from what is wrong."""
    checks = judge(facts_of(kafka=Unanswered("no Kafka broker")))
    assert next(lines_of(checks)) == "not asked kafka              no Kafka broker"
    assert summary_of(checks)["says"] == "nothing is wrong; 1 could not be asked"
    assert summary_of(judge(facts_of(kafka=kafka_facts())))["says"] == "nothing is wrong"
