"""The log as one value: everything that is needed to build rows from it."""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from streams.configuration.connection import topics_of
from streams.configuration.settings import Settings
from streams.runtime.clock import system_ms
from streams.sink.lane import Cursor
from streams.sink.ownership import Installed
from streams.sink.ports import Progress, Reading
from streams.sink.runner import absence_ms_of, beginnings_of, installed_of, keeping_of
from topics.cluster.admin_client import Cluster
from topics.contract.declared import Topics
from topics.reading.erasures import ConfirmedErasures
from topics.reading.following import Follower
from topics.reading.progress import GroupProgress
from topics.reading.rulesets import read_rulesets
from topics.records.adoptions import KnownRulesets
from topics.records.erasure_authority import ErasureAuthority

__all__ = ["Log", "open_log"]


@dataclass(frozen=True, slots=True)
class Log:
    """The topics of one installation.

    Attributes:
        topics: the declared topics.
        installed: which installation it is.
        follower: reads.
        progress: how far the workers are.
        first: where the topics of each partition begin.
        max_event_bytes: larger events are dead letters.
        authority: knows which erasures count.
        keeping: which processors keep, under the ruleset with a digest, what a failed rerun replaces elsewhere.
        rulesets: what Kafka keeps of rulesets, every adoption that was read included.
        now_ms: this machine's clock, in milliseconds since the epoch.
    """

    topics: Topics
    installed: Installed
    follower: Reading
    progress: Progress
    first: Mapping[int, Cursor]
    max_event_bytes: int
    authority: ErasureAuthority
    keeping: Callable[[str], Collection[str]]
    rulesets: Callable[[], KnownRulesets]
    now_ms: Callable[[], int]

    @property
    def absence_ms(self) -> int:
        """How long rows may rest: after that tombstones leave the topics."""
        return absence_ms_of(self.topics)


@contextmanager
def open_log(settings: Settings, config: Mapping[str, str | int]) -> Iterator[Log]:
    """The log in Kafka.

    Args:
        settings: the settings.
        config: for librdkafka.

    Raises:
        ContractError: topics are not as agreed.
        InfrastructureError: Kafka does not answer.
    """
    topics = topics_of(settings)
    cluster = Cluster(config)
    installed = installed_of(cluster, topics, settings.app_id)
    first = beginnings_of(cluster, topics, range(topics.partitions))

    def rulesets() -> KnownRulesets:
        return read_rulesets(config, topics, settled=range(topics.partitions))

    with Follower(config) as follower, GroupProgress(config, settings.app_id, topics) as progress:
        yield Log(
            topics,
            installed,
            follower,
            progress,
            first=first,
            max_event_bytes=settings.max_event_bytes,
            authority=ConfirmedErasures(config, topics),
            keeping=lambda digest: keeping_of(rulesets, digest),
            rulesets=rulesets,
            now_ms=system_ms,
        )
