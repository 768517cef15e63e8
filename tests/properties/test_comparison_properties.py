"""Laws of comparisons: they find exactly what differs, and what differs is explained by what was declared otherwise."""

from copy import deepcopy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from models.events import Position
from streams.audit.comparison.side_by_side import FileComparison
from streams.core import MERGE, InMemoryExecutionRepository, consolidate
from streams.core.rules import Rules
from streams.replay.in_memory import ReplayFold
from tests.inputs.strategies import ADVERSARIAL_CATALOGUE, UNKNOWN_PROCESSOR, event_sets
from tests.oracle.folds import catalogue_of, decoded, run_core
from tests.oracle.rules import canonical_json

CATALOGUE = catalogue_of(ADVERSARIAL_CATALOGUE)

# The old platform never looked at a failed rerun, so it replaced nothing; not that of a processor unknown to it either.
KEEPING = deepcopy(ADVERSARIAL_CATALOGUE)
KEEPING["processors"][UNKNOWN_PROCESSOR] = {
    "type": "document",
    "factors": {"any": {"reducer": "count", "field": "label"}},
}
for rule in KEEPING["processors"].values():
    rule["on_failed_rerun"] = "keep_previous"


def comparison_of(events: list[dict[str, Any]]) -> FileComparison:
    def fold_file(fold: ReplayFold) -> None:
        for number, item in enumerate(events, 1):
            fold.apply(decoded(item), Position("file", 0, number))

    return FileComparison("file", fold_file)


@given(event_sets())
def test_the_old_strategy_is_consolidation_without_the_failed(events: list[dict[str, Any]]) -> None:
    """Before is the mission's consolidate() over what completed, and a difference is there where that differs."""
    completed = InMemoryExecutionRepository(map(decoded, events), catalogue=catalogue_of(KEEPING))
    pairs = run_core(ADVERSARIAL_CATALOGUE, events).pairs
    differences = list(comparison_of(events).legacy(CATALOGUE))
    assert len(differences) == len(pairs)
    for (key, pair), difference in zip(sorted(pairs.items()), differences, strict=True):
        active = [one for one in completed.get_active_executions(*key) if one.status == "completed"]
        rule = CATALOGUE.processors.get(key.processor, MERGE)
        factors = {name: canonical_json(value) for name, value in consolidate(active, rule=rule).items()}
        after = pair.tally
        if difference is None:
            assert (factors, len(active), 0) == (after.factors, after.counts.active, after.counts.failed)
            continue
        assert difference.expected, difference
        restored, counts = dict(after.factors), {"active": after.counts.active, "failed": after.counts.failed}
        for member, _ in difference.members:
            if member.factor is None:
                counts[member.name] = member.before
            elif member.before is None:
                del restored[member.factor]
            else:
                restored[member.factor] = member.before
        assert dict(sorted(restored.items())) == factors
        assert (int(counts["active"]), int(counts["failed"])) == (len(active), 0)


@st.composite
def changed_catalogues(draw: st.DrawFn) -> dict[str, Any]:
    """The adversarial catalogue with some declarations altered, dropped or added."""
    # Each by itself: the processors share their declarations, and a copy of the whole would go on sharing them.
    processors = {name: deepcopy(declared) for name, declared in ADVERSARIAL_CATALOGUE["processors"].items()}
    changed = ADVERSARIAL_CATALOGUE | {"version": "2", "processors": processors}
    for name in draw(st.sets(st.sampled_from(sorted(processors)), min_size=1)):
        match draw(st.sampled_from(["drop", "type", "policy", "factor", "reducer", "bounds", "scale"])):
            case "drop":
                del processors[name]
            case "type":
                processors[name]["type"] = draw(st.sampled_from(["document", "application", "stipulation"]))
            case "policy":
                processors[name]["on_failed_rerun"] = draw(st.sampled_from(["replace", "keep_previous"]))
            case "factor":
                factor = draw(st.sampled_from(sorted(processors[name]["factors"])))
                processors[name]["factors"].pop(factor)
            case "reducer":
                processors[name]["factors"]["f_latest"]["reducer"] = "earliest"
                processors[name]["factors"]["f_sum"]["reducer"] = "max"
            case "bounds":
                processors[name]["factors"]["f_sum"]["minimum"] = 0
            case "scale":
                processors[name]["factors"]["f_mean"]["scale"] = draw(st.integers(0, 4))
    if draw(st.booleans()):
        processors["unknown_to_the_catalogue"] = processors.get("every_document") or {
            "type": "document",
            "factors": {"f_new": {"reducer": "count", "field": "amount"}},
        }
    return changed


@given(event_sets(), changed_catalogues())
def test_whatever_a_catalogue_changes_is_expected_by_its_declarations(
    events: list[dict[str, Any]], changed: dict[str, Any]
) -> None:
    """Every pair is compared, differs exactly where the folds differ, and never unexpectedly."""
    other = catalogue_of(changed)
    differences = list(comparison_of(events).catalogues(CATALOGUE, other))
    folds = [run_core(content, events).pairs for content in (ADVERSARIAL_CATALOGUE, changed)]
    rules = [Rules(CATALOGUE), Rules(other)]
    assert len(differences) == len(folds[0])
    for key, difference in zip(sorted(folds[0]), differences, strict=True):
        before, after = (
            (
                rule.of(key.processor).processor_type,
                pairs[key].tally.outcome,
                pairs[key].tally.counts,
                pairs[key].tally.factors,
            )
            for pairs, rule in zip(folds, rules, strict=True)
        )
        assert (difference is None) == (before == after)
        assert difference is None or difference.expected, difference


@given(event_sets())
def test_a_catalogue_differs_in_nothing_from_itself(events: list[dict[str, Any]]) -> None:
    """The same declarations give the same results, whatever the version is called."""
    renamed = catalogue_of(ADVERSARIAL_CATALOGUE | {"version": "2"})
    assert not any(comparison_of(events).catalogues(CATALOGUE, renamed))
