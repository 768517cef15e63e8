"""What a cluster does not permit, in words that name what has to be granted."""

from typing import Final

from confluent_kafka import KafkaError

from consolidator.errors import AuthorizationError

__all__ = ["FORBIDDEN", "not_permitted"]

FORBIDDEN: Final = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    }
)
"""The errors of requests that are not permitted."""

_REMEDY: Final = (
    "to do: grant it to this client's principal (KAFKA_SASL_USERNAME, or the subject of its certificate); "
    "`consolidator topics acls` lists everything that a role needs"
)


def not_permitted(*missing: str) -> AuthorizationError:
    """The error that names the missing permissions, and says what to do.

    Args:
        missing: each as ``Read on topic factors (takes the snapshot)``.
    """
    lines = [f"  {one}" for one in missing]
    return AuthorizationError("\n".join(["the cluster does not permit what this needs:", *lines, _REMEDY]))
