"""Laws of an adoption: interrupted anywhere and cut anyhow it comes to what a replay says."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from models.catalogue import Catalogue
from models.rows import Row
from streams.core.rules import Rules
from streams.partition.state.row_codec import decode_row
from tests.inputs.strategies import ADVERSARIAL_CATALOGUE, event_logs
from tests.inputs.workloads import believable, load_catalogue
from tests.oracle.adoptions import AdoptedLog, AdoptingWorker
from tests.oracle.folds import catalogue_of
from topics.contract.declared import declare


def sample(version: str, **factors: Any) -> Catalogue:
    catalogue = load_catalogue() | {"version": version}
    catalogue["processors"]["bank_statement"]["factors"] |= factors
    return catalogue_of(catalogue)


SAMPLE = sample("1")
NEXT = sample("2", f_revenue_monthly_avg={"reducer": "max", "field": "f_revenue_monthly"})
ADVERSARIAL = catalogue_of(ADVERSARIAL_CATALOGUE)
BACKWARDS = catalogue_of(ADVERSARIAL_CATALOGUE | {"version": "next", "processors": {}})


@st.composite
def adopted_logs(draw: st.DrawFn) -> AdoptedLog:
    """A log, and where another catalogue is adopted in it."""
    if draw(st.booleans()):
        items = believable(draw(st.integers(0, 50)), draw(st.integers(1, 8)))
        before, after = SAMPLE, NEXT
    else:
        items = draw(event_logs(max_pairs=4, max_size=20))
        before, after = ADVERSARIAL, BACKWARDS
    if draw(st.booleans()):
        before, after = after, before
    return AdoptedLog(before, after, items, draw(st.integers(0, len(items))))


@given(
    adopted_logs(),
    st.integers(1, 6),
    st.integers(1, 9),
    st.lists(st.integers(0, 12), max_size=6),
)
def test_interrupted_anywhere_it_is_what_a_replay_gives(
    adopted: AdoptedLog, part_pairs: int, batch_records: int, lives: list[int]
) -> None:
    """The same changes in the same order, byte for byte, each once; and every row is of the new ruleset."""
    worker = AdoptingWorker(adopted, part_pairs, lives, batch_records)
    worker.run()
    rows, sent = adopted.replayed()
    changes, factors = declared()
    assert [one for one in worker.sent if one.topic == changes] == [one for one in sent if one.topic == changes]
    assert {one.key: one.value for one in worker.sent if one.topic == factors} == {
        one.key: one.value for one in sent if one.topic == factors
    }
    assert worker.stored() == rows
    rulesets = {row.ruleset for row in map(decode_row, rows.values()) if isinstance(row, Row)}
    assert rulesets <= {Rules(adopted.after).tag}
    assert worker.marks[-1].ruleset == Rules(adopted.after).tag


def declared() -> tuple[str, str]:
    topics = declare("", app_id="app", partitions=1, replication_factor=1, audit_window_days=1, max_event_bytes=1_000)
    return topics.factor_changes.name, topics.factors.name
