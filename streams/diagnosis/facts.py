"""What the doctor looks at, as values: the state of the installation, and what is behind it."""

from collections.abc import Mapping
from dataclasses import dataclass

from models.catalogue import Catalogue
from streams.diagnosis.reading.answer import Unanswered
from streams.diagnosis.reading.brokers import BrokerFacts
from streams.diagnosis.reading.layout import Layout
from streams.diagnosis.reading.machine import StateDirectory
from streams.diagnosis.reading.trial import Trial
from streams.diagnosis.status import Status
from topics.contract.declared import Topics
from topics.contract.drift import Found
from topics.contract.permissions import Permission

__all__ = ["Facts", "KafkaFacts"]


@dataclass(frozen=True, slots=True)
class KafkaFacts:
    """What Kafka says besides the status.

    Attributes:
        missing: permissions that this user lacks.
        found: the topics that there are, as far as this user may see them.
        ids: each topic's id; "" where the cluster gives topics none.
        layout: where partitions and their replicas are.
        brokers: what the brokers say of themselves.
        trial: a transaction that was tried; None: none was.
    """

    missing: tuple[Permission, ...] | Unanswered
    found: Mapping[str, Found] | Unanswered
    ids: Mapping[str, str] | Unanswered
    layout: Layout | Unanswered
    brokers: BrokerFacts | Unanswered
    trial: Trial | Unanswered | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything.

    Attributes:
        topics: the declared topics.
        status: the state of the installation.
        kafka: what Kafka says besides; or why it was not asked.
        directory: the state directory on this machine.
        catalogue: what the settings name; or why it cannot be used.
        catalogue_is_set: whether the settings name one.
        adopts: the ruleset that workers with these settings adopt; None: none.
        versions: of what is installed here.
    """

    topics: Topics
    status: Status
    kafka: KafkaFacts | Unanswered
    directory: StateDirectory | Unanswered
    catalogue: Catalogue | Unanswered
    catalogue_is_set: bool
    adopts: str | None
    versions: Mapping[str, str]
