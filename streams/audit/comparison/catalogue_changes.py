"""The intended changes of another catalogue: for each member of a result, the changed declarations that it depends on.

A member that differs, although no declaration that it depends on was changed, is unexpected. What a factor depends on
is more than its own declaration: a value of a field counts for all factors that read it or for none, and which
executions contribute, and which are active, is decided for the processor as a whole.
"""

from collections.abc import Iterator, Mapping
from functools import cache

from models.catalogue import Catalogue, FactorRule, FieldRule, ProcessorRule, ProcessorType, RerunPolicy
from models.numbers import scalar_text
from streams.audit.comparison.report import Difference, Expectation, Member, compared_members, result_of
from streams.core.fold import Pair
from streams.core.rules import Rules

__all__ = ["CatalogueChanges"]

_Expected = tuple[Expectation, ...]

_ANYTHING = FieldRule("any")
"""The acceptance of a field that no factor reads: its value is not kept, but makes the execution contribute."""


class CatalogueChanges:
    """Explains what differs between the results under two catalogues.

    Args:
        before: the catalogue in force.
        after: the new one.
    """

    def __init__(self, before: Catalogue, after: Catalogue) -> None:
        self._before, self._after = before, after
        self._rules_before, self._rules_after = Rules(before), Rules(after)
        self._of_processor = cache(self._changes_of)

    def difference(self, before: Pair | None, after: Pair | None) -> Difference | None:
        """The difference between one pair's results; None: there is none.

        Args:
            before: the pair, folded under the catalogue in force; None: none of its events was folded under it.
            after: the pair, folded under the new one.
        """
        known = before or after
        assert known is not None, "one side has the pair"  # noqa: S101 - the caller's contract
        processor = known.row.processor
        changes = self._of_processor(processor)
        if before is None or after is None or _events(before) != _events(after):
            return self._limited(before, after, changes)
        members = [
            (member, changes.expecting(member))
            for member in compared_members(result_of(before, self._rules_before), result_of(after, self._rules_after))
        ]
        if not members:
            return None
        return Difference(after.row.application_id, processor, after.row.version, members)

    def _limited(self, before: Pair | None, after: Pair | None, changes: "_ProcessorChanges") -> Difference:
        """The difference of a row that was full under one catalogue only, so that an event became a dead letter."""
        counts = [0 if pair is None else _events(pair) for pair in (before, after)]
        known = after or before
        assert known is not None, "one side has the pair"  # noqa: S101 - the caller's contract
        rule = Expectation(
            f"{known.row.processor}.factors",
            "more, or larger, values are kept of each event: a row is full earlier, and what does not fit into it "
            "becomes a dead letter (execution_limit)",
        )
        member = Member("events", None, *map(str, counts))
        expected = (rule,) if changes.acceptance else ()
        return Difference(known.row.application_id, known.row.processor, known.row.version, [(member, expected)])

    def _changes_of(self, processor: str) -> "_ProcessorChanges":
        return _ProcessorChanges(
            processor, self._before.processors.get(processor), self._after.processors.get(processor)
        )


class _ProcessorChanges:
    """The declarations of one processor that differ.

    Attributes:
        acceptance: those that decide which values count, by field.
    """

    def __init__(self, processor: str, before: ProcessorRule | None, after: ProcessorRule | None) -> None:
        self._name = processor
        self._before, self._after = before, after
        self._whole = tuple(self._of_whole())
        self.acceptance = dict(self._of_acceptance())
        self._policy = tuple(self._of_policy())

    def expecting(self, member: Member) -> _Expected:
        """The changed declarations that this member depends on."""
        match member.name:
            case "processor_type":
                return self._whole or self._of_type()
            case "factor":
                assert member.factor is not None, "a factor has a name"  # noqa: S101 - compared_members names it
                return self._expecting_factor(member.factor)
            case "contributing":
                return (*self._policy, *self._whole, *self.acceptance.values())
            case _:
                return self._policy

    def _expecting_factor(self, factor: str) -> _Expected:
        if self._before is None or self._after is None:
            return (*self._policy, *self._whole)
        was, now = self._before.factors.get(factor), self._after.factors.get(factor)
        expected = [*self._of_declaration(factor, was, now), *self._policy]
        if ProcessorType.APPLICATION in {self._before.type, self._after.type}:
            # Only the latest contribution counts, and every field can make an execution contribute.
            return (*expected, *self._of_type(), *self.acceptance.values())
        fields = {rule.field for rule in (was, now) if rule is not None}
        return (*expected, *(rule for field, rule in self.acceptance.items() if field in fields))

    def _of_whole(self) -> Iterator[Expectation]:
        if (self._before is None) != (self._after is None):
            what = "is new in the catalogue" if self._before is None else "is in the catalogue no more"
            yield Expectation(self._name, f"processor {self._name} {what}; without an entry, its factors are merged")

    def _of_type(self) -> _Expected:
        if self._before is None or self._after is None or self._before.type is self._after.type:
            return ()
        return (Expectation(f"{self._name}.type", f"type: {self._before.type} → {self._after.type}"),)

    def _of_policy(self) -> Iterator[Expectation]:
        was, now = (
            RerunPolicy.REPLACE if rule is None else rule.on_failed_rerun for rule in (self._before, self._after)
        )
        if was is not now:
            yield Expectation(f"{self._name}.on_failed_rerun", f"on_failed_rerun: {was} → {now}")

    def _of_acceptance(self) -> Iterator[tuple[str, Expectation]]:
        was, now = _fields(self._before), _fields(self._after)
        for name in sorted({*was, *now}):
            old, new = was.get(name, _ANYTHING), now.get(name, _ANYTHING)
            if (old.kind, old.minimum, old.maximum) != (new.kind, new.minimum, new.maximum):
                yield (
                    name,
                    Expectation(
                        f"{self._name}.fields.{name}",
                        f"accepted values of field {name}: {_accepting(old)} → {_accepting(new)}",
                    ),
                )

    def _of_declaration(self, factor: str, was: FactorRule | None, now: FactorRule | None) -> Iterator[Expectation]:
        place = f"{self._name}.factors.{factor}"
        if was is None and now is not None:
            yield Expectation(place, f"new factor: {now.reducer} of {now.field}")
        elif now is None and was is not None:
            yield Expectation(place, f"factor dropped: it was {was.reducer} of {was.field}")
        elif was is not None and now is not None:
            for member in ("reducer", "field", "scale"):
                old, new = getattr(was, member), getattr(now, member)
                if old != new:
                    told = ["unset" if value is None else str(value) for value in (old, new)]
                    yield Expectation(f"{place}.{member}", f"{member}: {told[0]} → {told[1]}")


def _events(pair: Pair) -> int:
    return sum(map(len, pair.row.executions.values()))


def _fields(rule: ProcessorRule | None) -> Mapping[str, FieldRule]:
    return {} if rule is None else rule.fields


def _accepting(rule: FieldRule) -> str:
    told = {"any": "anything", "boolean": "booleans", "number": "numbers"}[rule.kind]
    if rule.minimum is not None:
        told += f" from {scalar_text(rule.minimum)}"
    if rule.maximum is not None:
        told += f" up to {scalar_text(rule.maximum)}"
    return told
