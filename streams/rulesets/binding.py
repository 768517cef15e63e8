"""Binds the topics of a prefix to one application id: that of the first worker. Workers of other ids are refused."""

from collections.abc import Mapping

from confluent_kafka import KafkaError, KafkaException

from consolidator.connecting.edges import edges_of
from models.errors import ContractError, InfrastructureError
from topics.cluster.admin_client import REACH_TIMEOUT_S, Cluster
from topics.contract.declared import Topic, Topics
from topics.reading.progress import GroupProgress
from topics.reading.rulesets import read_rulesets
from topics.records.bindings import Binding
from topics.writing.delivery import Written, write_records

__all__ = ["bind", "bound_to", "require_bound", "require_no_members", "require_not_anothers"]


def bound_to(config: Mapping[str, str | int], topics: Topics) -> Binding | None:
    """The present binding of the topics; None: there is none.

    Raises:
        ContractError: the topic of rulesets is not there.
        InfrastructureError: Kafka does not answer.
    """
    return read_rulesets(config, topics, settled=[0]).binding


def require_bound(
    config: Mapping[str, str | int], topics: Topics, app_id: str, prefix: str, binding: Binding | None
) -> Binding:
    """The topics' binding, which must be this application id's. If there is none, bind them to this id.

    An installation of an earlier version has no binding. It belongs to the id whose changelog has its state.

    Args:
        config: for librdkafka.
        topics: the declared topics.
        app_id: the application id.
        prefix: of the topics' names.
        binding: the result of :func:`bound_to`.

    Raises:
        ContractError: they belong to another application id.
        InfrastructureError: Kafka does not answer.
    """
    if binding is None:
        if not _has_records(config, topics, topics.changelog) and any(
            _has_records(config, topics, topic) for topic in (topics.factor_changes, topics.dlq)
        ):
            raise ContractError(
                f"{topics.factor_changes.name} or {topics.dlq.name} has records already, and {topics.changelog.name} "
                f"is empty: these topics belong to another application id than {app_id}. {_ways(app_id, None)}"
            )
        with GroupProgress(config, app_id, topics) as progress:
            consolidated = {partition: offset for partition, offset in progress.committed().items() if offset}
        binding = bind(config, topics, Binding(app_id, prefix, taken_over=consolidated))
    if binding.app_id != app_id:
        raise ContractError(
            f"the topics of the prefix {prefix!r} belong to the application id {binding.app_id}, this worker's is "
            f"{app_id}: both would publish every change. {_ways(app_id, binding.app_id)}"
        )
    if binding.prefix != prefix:
        raise ContractError(
            f"{topics.rulesets.name} was bound under the prefix {binding.prefix!r}, this worker's is {prefix!r}: it is "
            "a copy of another installation's. Use topics that are created by `consolidator topics apply`"
        )
    return binding


def require_not_anothers(config: Mapping[str, str | int], topics: Topics, app_id: str) -> None:
    """Raise unless the topics belong to this application id, or to none yet.

    For commands whose work the workers of this id have to finish: workers of another id would never do it.

    Raises:
        ContractError: they belong to another application id, or the topic of rulesets is not there.
        InfrastructureError: Kafka does not answer.
    """
    binding = bound_to(config, topics)
    if binding is not None and binding.app_id != app_id:
        raise ContractError(
            f"{topics.executions.name} and its topics belong to the application id {binding.app_id}, "
            f"CONSOLIDATOR_APP_ID is {app_id}: set it to {binding.app_id}, or see `consolidator topics bind`. "
            "Nothing was done"
        )


def bind(config: Mapping[str, str | int], topics: Topics, binding: Binding) -> Binding:
    """Write a binding; return the binding that holds then, which is another one if that was written first.

    Raises:
        InfrastructureError: Kafka refuses it or does not answer.
    """
    write_records(config, [Written(topics.rulesets.name, 0, binding.key, binding.value)])
    return bound_to(config, topics) or binding


def require_no_members(config: Mapping[str, str | int], app_id: str) -> None:
    """Raise if a worker of an application id is running.

    Raises:
        ContractError: there is one.
        InfrastructureError: Kafka does not answer.
    """
    admin = Cluster(config).admin
    try:
        group = admin.describe_consumer_groups([app_id], request_timeout=REACH_TIMEOUT_S)[app_id].result()
    except KafkaException as error:
        if error.args[0].code() == KafkaError.GROUP_ID_NOT_FOUND:
            return
        raise InfrastructureError(f"the state of group {app_id} cannot be read: {error.args[0].str()}") from error
    if group.members:
        raise ContractError(f"{len(group.members)} workers of {app_id} are at work: stop them first. Nothing was done")


def _has_records(config: Mapping[str, str | int], topics: Topics, topic: Topic) -> bool:
    cluster = Cluster(config)
    cluster.metadata()
    edges = edges_of(cluster.admin, topic.name, range(topics.partitions), settled=(), limit_s=REACH_TIMEOUT_S)
    return any(end > 0 for _, end in edges.values())


def _ways(app_id: str, other: str | None) -> str:
    """What to do."""
    same = "Set CONSOLIDATOR_APP_ID to that one" if other is None else f"Set CONSOLIDATOR_APP_ID to {other}"
    return (
        f"{same}; or give {app_id} topics of its own (another CONSOLIDATOR_TOPIC_PREFIX, `consolidator topics apply`); "
        f"or move them to {app_id}: stop all other workers, and give `consolidator topics bind --yes`. A worker of "
        f"{app_id} then folds everything from the beginning, and publishes every change once more"
    )
