"""The four requests about transactions and the quorum that no client library for Python has, in aiokafka's terms.

Field by field as in ``clients/src/main/resources/common/message`` of Apache Kafka 4.0: *DescribeProducers*,
*DescribeTransactions* and *ListTransactions* of KIP-664, and *DescribeQuorum* with the controller's clock of KIP-836.
"""

from collections.abc import Collection, Mapping
from typing import Any

from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import CompactArray, CompactString, Int16, Int32, Int64, Schema, TaggedFields

__all__ = ["DescribeProducers", "DescribeQuorum", "DescribeTransactions", "ListTransactions", "leader_clock_ms"]

_NO_TAGS: dict[int, bytes] = {}
_TEXT = CompactString("utf-8")
_TAGS = ("tags", TaggedFields)
_QUORUM = "__cluster_metadata"


class _ProducersResponse(Response):
    API_KEY = 61
    API_VERSION = 0
    _PRODUCERS = CompactArray(
        ("producer_id", Int64),
        ("producer_epoch", Int32),
        ("last_sequence", Int32),
        ("last_timestamp", Int64),
        ("coordinator_epoch", Int32),
        ("current_start_offset", Int64),
        _TAGS,
    )
    _PARTITIONS = CompactArray(
        ("partition", Int32), ("error_code", Int16), ("error_message", _TEXT), ("producers", _PRODUCERS), _TAGS
    )
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("topics", CompactArray(("topic", _TEXT), ("partitions", _PARTITIONS), _TAGS)),
        _TAGS,
    )


class _ProducersRequest(RequestStruct):
    API_KEY = 61
    API_VERSION = 0
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = _ProducersResponse
    SCHEMA = Schema(("topics", CompactArray(("topic", _TEXT), ("partitions", CompactArray(Int32)), _TAGS)), _TAGS)


class _TransactionsResponse(Response):
    API_KEY = 65
    API_VERSION = 0
    _TOPICS = CompactArray(("topic", _TEXT), ("partitions", CompactArray(Int32)), _TAGS)
    _TRANSACTIONS = CompactArray(
        ("error_code", Int16),
        ("transactional_id", _TEXT),
        ("state", _TEXT),
        ("timeout_ms", Int32),
        ("start_ms", Int64),
        ("producer_id", Int64),
        ("producer_epoch", Int16),
        ("topics", _TOPICS),
        _TAGS,
    )
    SCHEMA = Schema(("throttle_time_ms", Int32), ("transactions", _TRANSACTIONS), _TAGS)


class _TransactionsRequest(RequestStruct):
    API_KEY = 65
    API_VERSION = 0
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = _TransactionsResponse
    SCHEMA = Schema(("transactional_ids", CompactArray(_TEXT)), _TAGS)


class _ListResponse(Response):
    API_KEY = 66
    API_VERSION = 0
    _TRANSACTIONS = CompactArray(("transactional_id", _TEXT), ("producer_id", Int64), ("state", _TEXT), _TAGS)
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("error_code", Int16),
        ("unknown_states", CompactArray(_TEXT)),
        ("transactions", _TRANSACTIONS),
        _TAGS,
    )


class _ListRequest(RequestStruct):
    API_KEY = 66
    API_VERSION = 0
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = _ListResponse
    SCHEMA = Schema(("states", CompactArray(_TEXT)), ("producer_ids", CompactArray(Int64)), _TAGS)


class _QuorumResponse(Response):
    API_KEY = 55
    API_VERSION = 1
    _REPLICAS = CompactArray(
        ("replica", Int32), ("end_offset", Int64), ("last_fetch_ms", Int64), ("last_caught_up_ms", Int64), _TAGS
    )
    _PARTITIONS = CompactArray(
        ("partition", Int32),
        ("error_code", Int16),
        ("leader", Int32),
        ("leader_epoch", Int32),
        ("high_watermark", Int64),
        ("voters", _REPLICAS),
        ("observers", _REPLICAS),
        _TAGS,
    )
    SCHEMA = Schema(
        ("error_code", Int16), ("topics", CompactArray(("topic", _TEXT), ("partitions", _PARTITIONS), _TAGS)), _TAGS
    )


class _QuorumRequest(RequestStruct):
    API_KEY = 55
    API_VERSION = 1
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = _QuorumResponse
    SCHEMA = Schema(
        ("topics", CompactArray(("topic", _TEXT), ("partitions", CompactArray(("partition", Int32), _TAGS)), _TAGS)),
        _TAGS,
    )


class DescribeProducers(Request[_ProducersRequest]):
    """Asks a leader for the producers of partitions, with the first offset of each open transaction.

    Args:
        partitions: by topic. The user has to be permitted to read the topic.
    """

    API_KEY = _ProducersRequest.API_KEY

    def __init__(self, partitions: Mapping[str, Collection[int]]) -> None:
        self._partitions = partitions

    def build(self, request_struct_class: type[_ProducersRequest]) -> _ProducersRequest:
        """One entry for each topic."""
        return request_struct_class(
            [(topic, list(numbers), _NO_TAGS) for topic, numbers in self._partitions.items()], _NO_TAGS
        )


class DescribeTransactions(Request[_TransactionsRequest]):
    """Asks a coordinator for the state, start, timeout and partitions of transactional ids.

    Args:
        transactional_ids: the ids. The user needs Describe on each.
    """

    API_KEY = _TransactionsRequest.API_KEY

    def __init__(self, transactional_ids: Collection[str]) -> None:
        self._ids = transactional_ids

    def build(self, request_struct_class: type[_TransactionsRequest]) -> _TransactionsRequest:
        """All ids at once."""
        return request_struct_class(list(self._ids), _NO_TAGS)


class ListTransactions(Request[_ListRequest]):
    """Asks a broker for the transactions that it coordinates; those that the user may not describe are left out.

    Args:
        states: only transactions in these states.
    """

    API_KEY = _ListRequest.API_KEY

    def __init__(self, states: Collection[str]) -> None:
        self._states = states

    def build(self, request_struct_class: type[_ListRequest]) -> _ListRequest:
        """Of all producers."""
        return request_struct_class(list(self._states), [], _NO_TAGS)


class DescribeQuorum(Request[_QuorumRequest]):
    """Asks for the controllers; the leader's own entry has its clock. The user needs Describe on the cluster."""

    API_KEY = _QuorumRequest.API_KEY

    def build(self, request_struct_class: type[_QuorumRequest]) -> _QuorumRequest:
        """The metadata's only partition."""
        return request_struct_class([(_QUORUM, [(0, _NO_TAGS)], _NO_TAGS)], _NO_TAGS)


def leader_clock_ms(answer: Any) -> int | None:
    """The clock of the controllers' leader in an answer to :class:`DescribeQuorum`; None: there is none in it.

    Args:
        answer: the answer; milliseconds since the epoch.
    """
    for _, partitions, _ in answer.topics or []:
        for _, code, leader, _, _, voters, _, _ in partitions:
            for replica, _, last_fetch_ms, _, _ in voters:
                if code == 0 and replica == leader and last_fetch_ms > 0:
                    return int(last_fetch_ms)
    return None
