"""The errors of transactions, in words for the person on call."""

from typing import Final

from confluent_kafka import KafkaError

from models.errors import AuthorizationError, ConsolidatorError, InfrastructureError
from topics.cluster.authorization import not_permitted
from topics.cluster.producer_errors import FENCED
from topics.contract.permissions import transactions

__all__ = ["COMMIT", "OWNER_CHANGED", "refusal", "unanswered", "undelivered", "unplaced"]

COMMIT: Final = "commit_transaction"
"""The step after whose failure a transaction may still have taken effect: if the answer of a commit is lost, the client
repeats the commit, and an error of the repetition does not show the result of the first one."""

_LOOK: Final = "Are the brokers up, and enough replicas in sync?"
_UNKNOWN: Final = "it is not known here whether this transaction took effect"

OWNER_CHANGED: Final = FENCED | {
    KafkaError.ILLEGAL_GENERATION,
    KafkaError.UNKNOWN_MEMBER_ID,
    KafkaError.FENCED_INSTANCE_ID,
}
"""Another worker has the partition: it took the transactional id over, or the group has gone on without this one."""

_FORBIDDEN: Final = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
    }
)


def refusal(app_id: str, partition: int, step: str, cause: KafkaError | Exception) -> ConsolidatorError:
    """The error with which a worker ends.

    Args:
        app_id: the transactional ids' prefix.
        partition: the source partition whose producer it is.
        step: what was refused.
        cause: what Kafka, or its client, said.
    """
    code = cause.code() if isinstance(cause, KafkaError) else None
    text = cause.str() if isinstance(cause, KafkaError) else str(cause)
    if code in _FORBIDDEN:
        return _forbidden(app_id, partition, step, code, text)
    if code in OWNER_CHANGED:
        effect = f"{_UNKNOWN}: the new owner knows" if step == COMMIT else "nothing of this batch took effect here"
        return InfrastructureError(
            f"partition {partition}: fenced in {step}: another worker owns the partition now ({text}); {effect}"
        )
    return InfrastructureError(
        f"partition {partition}: {step} failed: {text}; {_effect(step)}, a restart goes on from the last committed "
        "transaction"
    )


def undelivered(partition: int, records: int, patience_s: float) -> InfrastructureError:
    """The error that the brokers did not take all records of a transaction in time.

    Args:
        partition: the source partition whose producer it is.
        records: how many they did not take.
        patience_s: how long was waited.
    """
    return InfrastructureError(
        f"partition {partition}: {records} records of a transaction were not delivered within "
        f"{patience_s:.0f} s; nothing was acknowledged. {_LOOK}"
    )


def unplaced(partition: int) -> InfrastructureError:
    """The error that a record was delivered, but the broker did not return its offset.

    Args:
        partition: the source partition whose producer it is.
    """
    return InfrastructureError(
        f"partition {partition}: it is not known where a record of a transaction stands; nothing took effect, a "
        "restart goes on from the last committed transaction"
    )


def unanswered(partition: int, step: str, patience_s: float) -> InfrastructureError:
    """The error that the brokers did not complete a step of a transaction in time.

    Args:
        partition: the source partition whose producer asked.
        step: the step.
        patience_s: how long the producer waited, in seconds.
    """
    return InfrastructureError(
        f"partition {partition}: {step}: the brokers did not do it within {patience_s:.0f} s; {_effect(step)}. {_LOOK}"
    )


def _effect(step: str) -> str:
    """The effect of a transaction that failed in a step, as far as it is known; for an error's text."""
    return f"nothing was acknowledged, and {_UNKNOWN}" if step == COMMIT else "nothing was acknowledged"


def _forbidden(app_id: str, partition: int, step: str, code: int | None, text: str) -> AuthorizationError:
    """The error for a missing permission. For a transactional id it is known which; for the rest it names a command."""
    if code == KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED:
        return not_permitted(transactions(app_id))
    return AuthorizationError(
        f"partition {partition}: {step}: the cluster does not permit it: {text}; nothing was "
        "acknowledged. `consolidator topics acls --role worker` lists everything that the worker needs"
    )
