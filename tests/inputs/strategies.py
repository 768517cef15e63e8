"""Hypothesis strategies: small adversarial sets of events with as many collisions as possible.

One or two pairs, few executions, attempts, times and values. Each event is valid for the decoder. An event_id has one
content, and events without one have a time of their own, so that no order depends on how content is hashed.
"""

from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Any

from hypothesis import strategies as st

from tests.inputs.workloads import Item
from tests.oracle.expected import Tombstone

APPLICATION = "app-1"
OTHER_APPLICATION = "app-2"
UNKNOWN_PROCESSOR = "unknown_to_the_catalogue"

_EVERY_FACTOR: dict[str, Any] = {
    "f_mean": {"reducer": "mean", "field": "amount"},
    "f_mean_whole": {"reducer": "mean", "field": "amount", "scale": 0},
    "f_sum": {"reducer": "sum", "field": "amount"},
    "f_sum_rounded": {"reducer": "sum", "field": "amount", "scale": 1},
    "f_min": {"reducer": "min", "field": "amount"},
    "f_max": {"reducer": "max", "field": "amount"},
    "f_count": {"reducer": "count", "field": "amount"},
    "f_distinct_amounts": {"reducer": "distinct_count", "field": "amount"},
    "f_bounded": {"reducer": "latest", "field": "share", "minimum": 0, "maximum": Decimal("1.5"), "scale": 1},
    "f_bounded_count": {"reducer": "count", "field": "share"},
    "f_count_true": {"reducer": "count_true", "field": "flag"},
    "f_all_true": {"reducer": "all_true", "field": "flag", "required": True},
    "f_any_true": {"reducer": "any_true", "field": "flag"},
    "f_latest": {"reducer": "latest", "field": "label"},
    "f_earliest": {"reducer": "earliest", "field": "label"},
    "f_distinct": {"reducer": "distinct_count", "field": "label"},
}

# Every reducer under every type, and both rerun policies.
ADVERSARIAL_CATALOGUE: dict[str, Any] = {
    "schema_version": 1,
    "name": "adversarial",
    "version": "1",
    "processors": {
        "every_document": {"type": "document", "factors": _EVERY_FACTOR},
        "keeping_document": {"type": "document", "on_failed_rerun": "keep_previous", "factors": _EVERY_FACTOR},
        "every_application": {"type": "application", "factors": _EVERY_FACTOR},
        "every_stipulation": {"type": "stipulation", "on_failed_rerun": "keep_previous", "factors": _EVERY_FACTOR},
    },
}
PROCESSORS = (*ADVERSARIAL_CATALOGUE["processors"], UNKNOWN_PROCESSOR)

EXECUTION_IDS = ("a", "b", "c", "B", "é")
ABSENT = object()


def amounts() -> st.SearchStrategy[int | Decimal]:
    """Numbers that are equal in different spellings, cancel out, are rounded half-way, or have 38 digits."""
    writings = (
        "0 -0.0 1.00 10 1E+1 0.005 0.015 0.025 -0.005 2.5 3.5 1e-20 12345678901234567890123456789012345678 0.1 0.2"
    )
    exact: st.SearchStrategy[int | Decimal] = st.sampled_from(
        [*map(Decimal, writings.split()), 0, 1, -1, 2, 10**29, 10**29 + 1, -(10**29), 10**37]
    )
    return exact | st.decimals(-1000, 1000, places=3) | st.integers(-5, 5)


def labels() -> st.SearchStrategy[Any]:
    """Scalars that are equal in an untyped comparison."""
    return st.sampled_from(["", "1", "true", "Zürich", "<script>", True, False, 1, 0, Decimal("1.0"), Decimal("0.50")])


def outputs() -> st.SearchStrategy[Any]:
    """The output of a completed event, or ABSENT: often empty, null, of the wrong type or out of bounds."""
    anything = labels() | amounts() | st.none()
    factors = st.fixed_dictionaries(
        {},
        optional={
            "amount": st.one_of(amounts(), amounts(), anything),
            "share": st.sampled_from([0, 1, Decimal("1.5"), Decimal("1.50001"), -1, Decimal("0.25"), "1", None]),
            "flag": st.one_of(st.booleans(), st.booleans(), anything),
            "label": labels() | st.none(),
            "not_in_the_catalogue": anything,
        },
    )
    return st.one_of(
        st.builds(lambda found: {"factors": found}, factors),
        st.builds(lambda found: {"factors": found}, factors),
        st.sampled_from([ABSENT, None, {}, {"factors": {}}, {"factors": {"amount": None, "label": None}}]),
    )


@st.composite
def events(draw: st.DrawFn, *, pairs: Sequence[tuple[str, str]], number: int, event_id: str | None) -> dict[str, Any]:
    """One lifecycle event of one of the pairs.

    Args:
        draw: Hypothesis's.
        pairs: (application_id, processor).
        number: the event's index in its set; gives an event without an id a microsecond of its own.
        event_id: None leaves it out.
    """
    application_id, processor = draw(st.sampled_from(list(pairs)))
    status = draw(
        st.sampled_from(
            [
                "completed",
                "completed",
                "completed",
                "failed",
                "failed",
                "requested",
                "started",
                "superseded",
                "cancelled",
            ]
        )
    )
    optional: dict[str, Any] = {
        "event_id": ABSENT if event_id is None else event_id,
        "attempt": draw(st.sampled_from([ABSENT, ABSENT, None, 1, 2, 3])),
        "sequence": draw(st.sampled_from([ABSENT, ABSENT, None, 0, 1, 2])),
        "supersedes": draw(st.sampled_from([ABSENT] * 6 + [None, "not-seen", *EXECUTION_IDS[:3]])),
    }
    ignored = st.sampled_from([ABSENT, ABSENT, None, {}, {"factors": {"amount": 5, "flag": True}}])
    optional["output"] = draw(outputs() if status == "completed" else ignored)
    if status == "failed":
        optional["error"] = draw(st.sampled_from([ABSENT, {"code": "TIMEOUT", "message": "late"}]))
    return {
        "application_id": application_id,
        "execution_id": draw(st.sampled_from(EXECUTION_IDS)),
        "processor": processor,
        "status": status,
        "occurred_at": draw(times(number if event_id is None else None)),
        **{name: value for name, value in optional.items() if value is not ABSENT},
    }


def times(microsecond: int | None = None) -> st.SearchStrategy[str]:
    """Three instants in several spellings; with a microsecond, an instant that no other event has."""
    if microsecond is not None:
        return st.sampled_from([f"2025-03-03T09:00:0{second}.{900_000 + microsecond}Z" for second in range(3)])
    return st.sampled_from(
        [
            "2025-03-03T09:00:00Z",
            "2025-03-03T10:00:00+01:00",
            "2025-03-03T09:00:00.000001Z",
            "2025-03-03T03:30:00.000001-05:30",
            "2025-03-03T09:00:02.5+00:00",
        ]
    )


@st.composite
def event_sets(draw: st.DrawFn, *, max_pairs: int = 2, max_size: int = 14) -> list[dict[str, Any]]:
    """Distinct events of one or two pairs, in any order; a few have no event_id."""
    pairs = draw(
        st.lists(
            st.tuples(st.sampled_from([APPLICATION, OTHER_APPLICATION]), st.sampled_from(PROCESSORS)),
            min_size=1,
            max_size=max_pairs,
            unique=True,
        )
    )
    size = draw(st.integers(1, max_size))
    ids = draw(st.permutations([f"e{number:02d}" for number in range(size)]))
    nameless = draw(st.sets(st.integers(0, size - 1), max_size=size // 5))
    return [
        draw(events(pairs=pairs, number=number, event_id=None if number in nameless else ids[number]))
        for number in range(size)
    ]


@st.composite
def arrivals(draw: st.DrawFn, events: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same set as another log: every event at least once, in any order, some of them repeatedly."""
    repeated = draw(st.lists(st.sampled_from(list(events)), max_size=len(events)))
    return draw(st.permutations([*events, *repeated]))


@st.composite
def event_logs(draw: st.DrawFn, *, max_pairs: int = 2, max_size: int = 14, tombstones: bool = True) -> list[Item]:
    """A log: a set of events with copies and, after their first copy, tombstones; late copies of erased events too."""
    log: list[Item] = list(draw(arrivals(draw(event_sets(max_pairs=max_pairs, max_size=max_size)))))
    if not tombstones:
        return log
    seen = [item for item in log if isinstance(item, dict) and "event_id" in item]
    erased = (
        draw(st.lists(st.sampled_from(seen), max_size=3, unique_by=lambda event: event["event_id"])) if seen else []
    )
    for event in erased:
        place = draw(st.integers(log.index(event) + 1, len(log)))
        log.insert(place, Tombstone(event["application_id"], event["event_id"]))
    return log


@st.composite
def batches(draw: st.DrawFn, items: Sequence[Any]) -> list[list[Any]]:
    """The items cut into consecutive batches, none of them empty."""
    cuts = sorted(draw(st.sets(st.integers(1, len(items) - 1)))) if len(items) > 1 else []
    edges = [0, *cuts, len(items)]
    return [list(items[start:end]) for start, end in pairwise(edges)]
