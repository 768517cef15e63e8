"""Where a subscription begins, which records it yields, and when it ends."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from consolidator.errors import UsageError

__all__ = ["BEGINNING", "CAUGHT_UP", "SNAPSHOT", "Filter", "Start", "require_start"]

SNAPSHOT: Final = "snapshot"
"""The current factors of every pair, then every change that is not in them."""

BEGINNING: Final = "beginning"
"""Every change that ``factor-changes`` has, from the first one on."""

CAUGHT_UP: Final = "caught-up"
"""The subscription ends once it has yielded what was there when it began."""

Start = str | datetime | Mapping[int, int]
""":data:`SNAPSHOT`, :data:`BEGINNING`, a token, a time with its offset from UTC, or offsets of ``factor-changes``."""

Kind = Literal["set", "updated", "cleared", "unchanged"]

_KINDS: Final = ("set", "updated", "cleared", "unchanged")


@dataclass(frozen=True, slots=True)
class Filter:
    """Which records are yielded. An empty member lets everything pass; the members are joined by *and*.

    Applications and processors choose pairs, of the snapshot and of changes. The others choose changes alone: a view of
    pairs needs every change of each pair, so that it is kept right without them.

    Attributes:
        applications: ids; only the partitions of these applications are read.
        processors: names.
        factors: names; a change passes if one of them is in ``changed``.
        outcomes: a change passes if its outcome is one of them.
        kinds: ``set``, ``updated``, ``cleared`` (of a factor in ``changed``; of those in ``factors``, if there are
            any), or ``unchanged``: no factor differs, but the outcome or counts do.
    """

    applications: frozenset[str] = frozenset()
    processors: frozenset[str] = frozenset()
    factors: frozenset[str] = frozenset()
    outcomes: frozenset[str] = frozenset()
    kinds: frozenset[str] = frozenset()

    @classmethod
    def of(
        cls,
        *,
        applications: Collection[str] = (),
        processors: Collection[str] = (),
        factors: Collection[str] = (),
        outcomes: Collection[str] = (),
        kinds: Collection[str] = (),
    ) -> "Filter":
        """Make a filter from what a caller gave.

        Raises:
            UsageError: a text in place of a list of texts, an empty name, or an unknown kind.
        """
        given = {
            "applications": applications,
            "processors": processors,
            "factors": factors,
            "outcomes": outcomes,
            "kinds": kinds,
        }
        for name, values in given.items():
            if isinstance(values, str) or not all(isinstance(value, str) and value for value in values):
                raise UsageError(f"{name}: a list of texts is wanted, none of them empty")
        for kind in kinds:
            if kind not in _KINDS:
                raise UsageError(f"kinds: {kind!r} is none of {', '.join(_KINDS)}")
        return cls(**{name: frozenset(values) for name, values in given.items()})

    @property
    def chooses_changes(self) -> bool:
        """Whether changes of a pair that is wanted are left out."""
        return bool(self.factors or self.outcomes or self.kinds)


def require_start(start: Start) -> Start:
    """Return the start if it is one.

    Raises:
        UsageError: a time without its offset from UTC, no offsets at all, or a negative one.
    """
    if isinstance(start, str):
        return start
    if isinstance(start, datetime):
        if start.tzinfo is None:
            raise UsageError(f"start: {start.isoformat()} has no offset from UTC: give a time zone, such as UTC")
        return start
    if isinstance(start, Mapping):
        if not start:
            raise UsageError("start: no partition is named")
        for partition, offset in start.items():
            if not _is_count(partition) or not _is_count(offset):
                raise UsageError(f"start: {partition!r}: {offset!r} is no partition and offset, from 0")
        return dict(start)
    raise UsageError(
        f"start: {type(start).__name__} is none of: {SNAPSHOT!r}, {BEGINNING!r}, a token, a datetime, offsets by "
        "partition"
    )


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
