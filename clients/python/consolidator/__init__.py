"""The client of factor-consolidator: for services that read its topics.

It imports nothing from the worker, so none of its package names can clash with a service's own.

* :mod:`consolidator.records`: the records of ``factors`` and ``factor-changes`` as values.
* :mod:`consolidator.keys`: the keys of all records, and the partition of an application.
* :mod:`consolidator.testing`: sample records, and a source of them without a broker.
"""

from consolidator.errors import SubscriberError, UnreadableRecordError
from consolidator.keys import parse_event_key, partition_of
from consolidator.records import (
    CurrentFactors,
    FactorChange,
    FactorDifference,
    FactorValue,
    decode_change,
    decode_factors,
    factor_value,
)

__version__ = "0.1.0"

__all__ = [
    "CurrentFactors",
    "FactorChange",
    "FactorDifference",
    "FactorValue",
    "SubscriberError",
    "UnreadableRecordError",
    "decode_change",
    "decode_factors",
    "factor_value",
    "parse_event_key",
    "partition_of",
]
