"""The conditions for writing records about erasures."""

from collections.abc import Mapping

from streams.rulesets.binding import require_not_anothers
from topics.cluster.authorization import require_permissions
from topics.contract.declared import Topics
from topics.contract.permissions import Role, permissions

__all__ = ["require_eraser"]


def require_eraser(config: Mapping[str, str | int], topics: Topics, group: str) -> None:
    """Raise unless the cluster permits an erasure, and the topics belong to this application id or to none.

    Args:
        config: for librdkafka.
        topics: the declared topics.
        group: the worker's group, whose name is the application id.

    Raises:
        AuthorizationError: a permission is missing; the message names it.
        ContractError: a topic is not there, or belongs to workers of another id.
        InfrastructureError: Kafka does not answer.
    """
    require_permissions(permissions(Role.ERASER, topics, group), config)
    require_not_anothers(config, topics, group)
