"""Alter topics that are not as declared, one setting at a time; other settings are not changed."""

from collections.abc import Iterable, Mapping
from typing import Final

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # public, but not marked as re-exported
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from models.errors import AuthorizationError, InfrastructureError
from topics.contract.drift import Drift

__all__ = ["alter"]

_LIMIT_S: Final = 30.0


def alter(found: Iterable[Drift], admin: Mapping[str, str | int]) -> None:
    """Set settings of topics to their declared values.

    Args:
        found: the drifts to correct. Missing topics, partition counts and replicas are ignored, because they are no
            settings.
        admin: the configuration for librdkafka.

    Raises:
        AuthorizationError: we are not permitted to.
        InfrastructureError: the cluster refuses it, or does not answer in time.
    """
    by_topic: dict[str, list[Drift]] = {}
    for drift in found:
        by_topic.setdefault(drift.topic, []).append(drift)
    if not by_topic:
        return
    resources = [
        ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[_entry(drift) for drift in wanted])
        for topic, wanted in by_topic.items()
    ]
    client = AdminClient({**admin, "log_level": 2})
    futures = client.incremental_alter_configs(resources, request_timeout=_LIMIT_S)
    for resource, future in futures.items():
        try:
            future.result(_LIMIT_S + 1)
        except TimeoutError as error:
            raise InfrastructureError(f"no answer in {_LIMIT_S:.0f} s: look again with `topics check`") from error
        except KafkaException as error:
            cause = error.args[0]
            what = f"alter topic {resource.name}: {cause.str()}"
            if cause.code() in {KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.CLUSTER_AUTHORIZATION_FAILED}:
                raise AuthorizationError(
                    f"the cluster does not permit to {what}. To do: grant AlterConfigs on the topic"
                ) from error
            raise InfrastructureError(f"cannot {what}") from error


def _entry(drift: Drift) -> ConfigEntry:
    if drift.is_to_be_unset:
        return ConfigEntry(drift.setting, None, incremental_operation=AlterConfigOpType.DELETE)
    return ConfigEntry(drift.setting, drift.expected, incremental_operation=AlterConfigOpType.SET)
