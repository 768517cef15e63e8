"""A catalogue in a form that the fold can look up quickly, because it does so for every event."""

from typing import TYPE_CHECKING

from models.catalogue import Catalogue, FieldRule, ProcessorRule, RerunPolicy
from models.numbers import quote
from streams.core.strategies import Strategy, strategy_of

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["PreparedRule", "Rules"]


class PreparedRule:
    """One processor's rule, prepared for the fold.

    Attributes:
        declared: the rule as the catalogue declares it; None: MERGE.
        processor_type: ``document``, ``application``, ``stipulation``; None: MERGE.
        fields: acceptance by output field; None: MERGE, every scalar is read.
        strategy: turns contributions into factors.
        keep_previous: a failed rerun does not evict what it supersedes.
    """

    __slots__ = ("declared", "fields", "keep_previous", "processor_type", "strategy")

    def __init__(self, rule: ProcessorRule | None, *, keeps_previous: bool = False) -> None:
        self.declared = rule
        self.processor_type: str | None = None if rule is None else rule.type.value
        self.fields: Mapping[str, FieldRule] | None = None if rule is None else rule.fields
        self.strategy: Strategy = strategy_of(rule)
        self.keep_previous = keeps_previous or (rule is not None and rule.on_failed_rerun is RerunPolicy.KEEP_PREVIOUS)

    def keeping_previous(self) -> "PreparedRule":
        """The same rule, but a failed rerun evicts nothing."""
        return PreparedRule(self.declared, keeps_previous=True)


class Rules:
    """A whole catalogue, prepared.

    Attributes:
        name: the ruleset's name.
        digest: the ruleset's digest.
        tag: name and digest in one text, as every row has it.
        json: the ruleset as JSON text, as every change has it.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self.name = catalogue.ruleset.name
        self.digest = catalogue.ruleset.digest
        self.tag = f"{self.name}@{self.digest}"
        self.json = f'{{"name":{quote(self.name)},"digest":"{self.digest}"}}'
        self._merge = PreparedRule(None)
        self._prepared = {name: PreparedRule(rule) for name, rule in catalogue.processors.items()}

    def of(self, processor: str) -> PreparedRule:
        """The rule of a processor; MERGE for one that the catalogue does not know."""
        return self._prepared.get(processor, self._merge)
