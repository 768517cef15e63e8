"""Create the declared topics, and verify that they still are as declared. Topics are altered only on request."""

import time
from collections.abc import Iterable, Mapping
from typing import Final

from models.errors import ContractError
from topics.cluster.admin_client import REACH_TIMEOUT_S, Cluster
from topics.cluster.alteration import alter
from topics.contract.declared import Topic, Topics
from topics.contract.drift import Drift, drifts, may_be_altered

_POLL_S: Final = 0.1


def apply(topics: Topics, admin: Mapping[str, str | int], *, timeout_s: float = REACH_TIMEOUT_S) -> list[str]:
    """Create the topics that are missing; calling it again changes nothing.

    1. Where an existing topic differs from its declaration, refuse before anything is created.
    2. Ask the cluster whether it would create all missing ones, and check those that were created a moment ago.
    3. Create the missing ones.
    4. Wait until every partition has a leader, so that the next producer does not fail.
    5. Compare again: another client may have created one of them differently meanwhile.

    Args:
        topics: the declaration.
        admin: the configuration for librdkafka, as :meth:`.Connection.librdkafka` makes it.
        timeout_s: seconds after which an unreachable cluster is an error.

    Returns:
        The names of the topics created.

    Raises:
        ContractError: topics are not as declared (the message names each setting, and what to do), or the cluster
            refuses.
        SettingsError: when credentials, certificates or other connection settings are refused.
        InfrastructureError: when the cluster does not answer in time.
    """
    cluster = Cluster(admin, timeout_s=timeout_s)
    names = [topic.name for topic in topics]
    found = drifts(topics, cluster.find(names))
    _refuse([drift for drift in found if not drift.is_missing])
    missing = {drift.topic for drift in found}
    if not missing:
        return []
    wanted = [topic for topic in topics if topic.name in missing]
    size = {"partitions": topics.partitions, "replication_factor": topics.replication_factor}
    if appeared := missing.difference(cluster.creatable(wanted, **size)):
        cluster.wait_for_leaders(appeared)
        _refuse([drift for drift in drifts(topics, cluster.find(names)) if not drift.is_missing])
    created = cluster.create(wanted, **size)
    cluster.wait_for_leaders(names)
    _refuse(drifts(topics, cluster.find_created(names)))
    return created


def check(topics: Topics, admin: Mapping[str, str | int], *, timeout_s: float = REACH_TIMEOUT_S) -> list[Drift]:
    """Everything in which the cluster's topics differ from their declaration; empty when nothing does.

    Raises:
        ContractError: when we are not allowed to see a topic's settings.
        SettingsError: when credentials, certificates or other connection settings are refused.
        InfrastructureError: when the cluster does not answer in time.
    """
    cluster = Cluster(admin, timeout_s=timeout_s)
    return drifts(topics, cluster.find(topic.name for topic in topics))


def mend(
    topics: Topics, admin: Mapping[str, str | int], *, alter_them: bool, timeout_s: float = REACH_TIMEOUT_S
) -> list[Drift]:
    """Alter existing topics that are not as declared, unless that would remove records.

    Args:
        topics: the declaration.
        admin: the configuration for librdkafka.
        alter_them: whether to alter them, or only to return what would be altered.
        timeout_s: seconds after which an unreachable cluster is an error.

    Returns:
        The drifts that were, or would be, corrected.

    Raises:
        ContractError: a setting is not as declared, and must not be altered by this function; nothing was altered.
        AuthorizationError: we are not permitted to.
        SettingsError: when credentials, certificates or other connection settings are refused.
        InfrastructureError: when the cluster refuses or does not answer in time.
    """
    found = [drift for drift in check(topics, admin, timeout_s=timeout_s) if not drift.is_missing]
    _refuse([drift for drift in found if not may_be_altered(drift)])
    if alter_them:
        alter(found, admin)
        # Brokers learn of a change one after the other, and each request may go to another broker.
        deadline = time.monotonic() + timeout_s
        while set(found) & set(check(topics, admin, timeout_s=timeout_s)) and time.monotonic() < deadline:
            time.sleep(_POLL_S)
    return found


def existing(topics: Topics, admin: Mapping[str, str | int], *, timeout_s: float = REACH_TIMEOUT_S) -> frozenset[str]:
    """The names of those declared topics that the cluster has, as declared or not.

    Raises:
        SettingsError: when credentials, certificates or other connection settings are refused.
        InfrastructureError: when the cluster does not answer in time.
    """
    metadata = Cluster(admin, timeout_s=timeout_s).metadata()
    return frozenset(topic.name for topic in topics if topic.name in metadata)


def require(
    topics: Topics,
    admin: Mapping[str, str | int],
    *,
    only: Topic | None = None,
    timeout_s: float = REACH_TIMEOUT_S,
) -> None:
    """Raise unless every topic exists as declared; a worker calls this before it starts.

    Args:
        topics: the declaration.
        admin: the configuration for librdkafka.
        only: check this topic alone: a publisher need not be permitted to see the others.
        timeout_s: seconds after which an unreachable cluster is an error.

    Raises:
        ContractError: topics are missing or not as declared; the message names each of them, and what to do.
        SettingsError: when credentials, certificates or other connection settings are refused.
        InfrastructureError: when the cluster does not answer in time.
    """
    wanted = [*topics] if only is None else [only]
    found = Cluster(admin, timeout_s=timeout_s).find(topic.name for topic in wanted)
    _refuse(drifts(topics, found, only=wanted))


def require_existing(
    wanted: Iterable[Topic], admin: Mapping[str, str | int], *, timeout_s: float = REACH_TIMEOUT_S
) -> None:
    """Raise unless these topics exist, as declared or not; commands that only read call this first.

    Raises:
        ContractError: topics are missing; the message names them, and what to do.
        SettingsError: when credentials, certificates or other connection settings are refused.
        InfrastructureError: when the cluster does not answer in time.
    """
    metadata = Cluster(admin, timeout_s=timeout_s).metadata()
    missing = [topic.name for topic in wanted if topic.name not in metadata]
    if missing:
        servers = admin.get("bootstrap.servers", "")
        raise ContractError(f"there is no topic {', '.join(missing)} at {servers}: run `consolidator topics apply`")


def _refuse(found: list[Drift]) -> None:
    if found:
        lines = [f"  {drift}" for drift in found]
        # Often many topics have the same remedy, so it is printed only once.
        remedies = [f"  {remedy}" for remedy in dict.fromkeys(drift.remedy() for drift in found)]
        if any(may_be_altered(drift) for drift in found):
            remedies.append("  or, for all by which nothing is removed: consolidator topics apply --alter")
        raise ContractError("\n".join(["the topics are not as declared:", *lines, "to do:", *remedies]))
