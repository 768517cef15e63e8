"""Rulesets in Kafka: all catalogues, and the offsets at which partitions adopted them.

The topic ``rulesets`` has three kinds of records. ``catalogue/<digest>`` is a catalogue as JSON, and
``binding/<number>`` says to which application id the topics belong. ``adoption/<partition>/<offset>`` says that a
record of ``executions`` adopts a ruleset. The record of ``executions``, under a key that no application has, makes a
replay switch at the same offset as the worker. It counts only with the record in ``rulesets``, which is written in the
same transaction: publishers of events are not permitted to write to ``rulesets``.
"""

from collections.abc import Container, Mapping

from topics.contract.declared import Topics
from topics.reading.positions import Beginning
from topics.reading.reader import TopicReader
from topics.records.adoptions import CATALOGUE_PREFIX, Adoption, KnownRulesets, adoptions_in
from topics.records.bindings import Binding, binding_in, in_force

__all__ = ["read_rulesets"]


def read_rulesets(config: Mapping[str, str | int], topics: Topics, *, settled: Container[int] = ()) -> KnownRulesets:
    """Read the topic ``rulesets`` up to its end.

    Args:
        config: for librdkafka.
        topics: the declared topics.
        settled: partitions of which every adoption must be known: reading waits until no transaction is open in them.
            The broker ends a transaction partition by partition, so the record of an adoption in the source can become
            readable before its entry in this topic.

    Raises:
        ContractError: there is no such topic, or a later version has written an adoption that this one cannot read.
        InfrastructureError: Kafka does not answer.
    """
    catalogues: dict[str, bytes] = {}
    adoptions: dict[int, dict[int, Adoption]] = {}
    bindings: list[Binding] = []
    with TopicReader(config, topics.rulesets.name, Beginning(), settled=settled) as reader:
        for record in reader.until_end():
            key = record.key or b""
            if key.startswith(CATALOGUE_PREFIX) and record.value is not None:
                catalogues[key.removeprefix(CATALOGUE_PREFIX).decode(errors="replace")] = record.value
            if (binding := binding_in(record)) is not None:
                bindings.append(binding)
            for adoption in adoptions_in(record):
                adoptions.setdefault(adoption.partition, {})[adoption.offset] = adoption
    return KnownRulesets(
        catalogues,
        {
            partition: tuple(by_offset[offset] for offset in sorted(by_offset))
            for partition, by_offset in adoptions.items()
        },
        in_force(bindings),
    )
