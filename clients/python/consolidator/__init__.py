"""The client of factor-consolidator: for services that read its topics.

It imports nothing from the worker, so none of its package names can clash with a service's own.

* :func:`subscribe`: a snapshot of all factors and then every change, from Kafka; :mod:`consolidator.subscribing`.
* :func:`wait_for` and :class:`Waiter`: what came of a published event, once every reader can read it.
* :class:`PositionTable`: the position of a subscription in the subscriber's own database.
* :mod:`consolidator.records`: the records of ``factors`` and ``factor-changes`` as values.
* :mod:`consolidator.keys`: the keys of all records, and the partition of an application.
* :mod:`consolidator.testing`: sample records, and a source of them without a broker.
"""

from typing import TYPE_CHECKING, Any

from consolidator.errors import (
    AuthorizationError,
    ConsolidatorError,
    ContractError,
    InfrastructureError,
    SettingsError,
    StalledError,
    SubscriberError,
    TokenError,
    UnreadableRecordError,
    UsageError,
    WaitTimeoutError,
)
from consolidator.keys import parse_event_key, partition_of
from consolidator.version import __version__

if TYPE_CHECKING:
    from consolidator.records import (
        CurrentFactors,
        FactorChange,
        FactorDifference,
        FactorValue,
        SourcePlace,
        decode_change,
        decode_factors,
        factor_value,
    )
    from consolidator.storing import HeldPosition, PositionTable, PositionTakenError
    from consolidator.subscribing.items import (
        CaughtUp,
        Changed,
        Current,
        Erased,
        Item,
        MustRefetch,
        Progress,
        Revoked,
        SnapshotEnd,
    )
    from consolidator.subscribing.start import BEGINNING, CAUGHT_UP, SNAPSHOT
    from consolidator.subscribing.subscription import Subscription, subscribe
    from consolidator.waiting.result import WaitResult
    from consolidator.waiting.waiter import Waiter, wait_for, wait_for_async

__all__ = [
    "BEGINNING",
    "CAUGHT_UP",
    "SNAPSHOT",
    "AuthorizationError",
    "CaughtUp",
    "Changed",
    "ConsolidatorError",
    "ContractError",
    "Current",
    "CurrentFactors",
    "Erased",
    "FactorChange",
    "FactorDifference",
    "FactorValue",
    "HeldPosition",
    "InfrastructureError",
    "Item",
    "MustRefetch",
    "PositionTable",
    "PositionTakenError",
    "Progress",
    "Revoked",
    "SettingsError",
    "SnapshotEnd",
    "SourcePlace",
    "StalledError",
    "SubscriberError",
    "Subscription",
    "TokenError",
    "UnreadableRecordError",
    "UsageError",
    "WaitResult",
    "WaitTimeoutError",
    "Waiter",
    "__version__",
    "decode_change",
    "decode_factors",
    "factor_value",
    "parse_event_key",
    "partition_of",
    "subscribe",
    "wait_for",
    "wait_for_async",
]

_LATER = {
    "consolidator.records": (
        "CurrentFactors",
        "FactorChange",
        "FactorDifference",
        "FactorValue",
        "SourcePlace",
        "decode_change",
        "decode_factors",
        "factor_value",
    ),
    "consolidator.storing": ("HeldPosition", "PositionTable", "PositionTakenError"),
    "consolidator.waiting.result": ("WaitResult",),
    "consolidator.subscribing.items": (
        "CaughtUp",
        "Changed",
        "Current",
        "Erased",
        "Item",
        "MustRefetch",
        "Progress",
        "Revoked",
        "SnapshotEnd",
    ),
    "consolidator.subscribing.start": ("BEGINNING", "CAUGHT_UP", "SNAPSHOT"),
    "consolidator.subscribing.subscription": ("Subscription", "subscribe"),
    "consolidator.waiting.waiter": ("Waiter", "wait_for", "wait_for_async"),
}
"""What is imported when it is used first: who only decodes records loads no Kafka client, and who only needs the
errors, as the worker's command line for its help, loads no decoder."""


def __getattr__(name: str) -> Any:
    from importlib import import_module  # noqa: PLC0415 - so is this

    for module, names in _LATER.items():
        if name in names:
            found = globals()[name] = getattr(import_module(module), name)
            return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
