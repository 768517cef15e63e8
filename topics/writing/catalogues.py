"""Keep a catalogue in the topic of rulesets."""

from collections.abc import Mapping

from topics.contract.declared import Topics
from topics.records.adoptions import CATALOGUE_PREFIX
from topics.writing.delivery import Written, write_records

__all__ = ["keep_catalogue"]


def keep_catalogue(config: Mapping[str, str | int], topics: Topics, digest: str, text: str) -> None:
    """Put a catalogue into the topic, and wait until it is there.

    Args:
        config: for librdkafka.
        topics: the declared topics.
        digest: the catalogue's.
        text: the catalogue as JSON.

    Raises:
        InfrastructureError: Kafka refuses it or does not answer.
    """
    write_records(config, [Written(topics.rulesets.name, 0, CATALOGUE_PREFIX + digest.encode(), text.encode())])
