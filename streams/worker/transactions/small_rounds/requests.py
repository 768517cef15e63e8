"""The five requests of Kafka's newer protocol of transactions (KIP-890) that aiokafka does not have, in its terms.

A transaction in it is three requests: *Produce* and *TxnOffsetCommit* register what they write by themselves, and
*EndTxn* hands the producer its next epoch. Field by field as in ``clients/src/main/resources/common/message`` of
Apache Kafka 4.0.
"""

from collections.abc import Sequence
from io import BytesIO
from typing import Any

from aiokafka.protocol.api import Request, RequestStruct, Response, ResponseHeader_v0
from aiokafka.protocol.types import (
    Boolean,
    CompactArray,
    CompactBytes,
    CompactString,
    Int16,
    Int32,
    Int64,
    Schema,
    TaggedFields,
)

__all__ = ["ApiVersions", "EndTransaction", "InitialiseAgain", "Produce", "TransactionOffsets", "is_spoken"]

_NO_TAGS: dict[int, bytes] = {}
_ALL_REPLICAS = -1
_NO_LEADER_EPOCH = -1
_FINALIZED_FEATURES = 2
"""The tag of the cluster's features in the answer to *ApiVersions*."""

_TEXT = CompactString("utf-8")
_TAGS = ("tags", TaggedFields)


_FEATURES = CompactArray(("name", _TEXT), ("highest", Int16), ("lowest", Int16), _TAGS)
_FEATURE = "transaction.version"
_FEATURE_LEVEL = 2
"""The level of that feature with which the coordinator of transactions speaks the protocol."""


def _by_topic(*fields: tuple[str, Any]) -> tuple[str, CompactArray]:
    """Some fields of each partition of each topic."""
    partitions = CompactArray(("partition", Int32), *fields, _TAGS)
    return "topics", CompactArray(("topic", _TEXT), ("partitions", partitions), _TAGS)


class _EncodedOnce:
    """Encodes a request only once: aiokafka encodes each one twice, which is most of the cost of *Produce*."""

    _encoded: bytes | None = None

    def encode(self) -> bytes:
        if self._encoded is None:
            self._encoded = super().encode()  # type: ignore[misc]  # of the request that this is mixed into
        return self._encoded


class _ApiVersionsResponse(Response):
    API_KEY = 18
    API_VERSION = 3
    SCHEMA = Schema(
        ("error_code", Int16),
        ("api_keys", CompactArray(("api_key", Int16), ("lowest", Int16), ("highest", Int16), _TAGS)),
        ("throttle_time_ms", Int32),
        _TAGS,
    )


class _ApiVersionsRequest(RequestStruct):
    API_KEY = 18
    API_VERSION = 3
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = _ApiVersionsResponse
    SCHEMA = Schema(("client_software_name", _TEXT), ("client_software_version", _TEXT), _TAGS)

    def parse_response_header(self, read_buffer: Any) -> Any:
        """The answer's header has the oldest format: brokers answer before they know the client's versions."""
        return ResponseHeader_v0.decode(read_buffer)


class _ProduceResponse(Response):
    API_KEY = 0
    API_VERSION = 12
    SCHEMA = Schema(
        _by_topic(
            ("error_code", Int16),
            ("base_offset", Int64),
            ("log_append_time_ms", Int64),
            ("log_start_offset", Int64),
            ("record_errors", CompactArray(("batch_index", Int32), ("message", _TEXT), _TAGS)),
            ("error_message", _TEXT),
        ),
        ("throttle_time_ms", Int32),
        _TAGS,
    )


class _ProduceRequest(_EncodedOnce, RequestStruct):
    API_KEY = 0
    API_VERSION = 12
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = _ProduceResponse
    SCHEMA = Schema(
        ("transactional_id", _TEXT),
        ("acks", Int16),
        ("timeout_ms", Int32),
        _by_topic(("records", CompactBytes)),
        _TAGS,
    )


class _TransactionOffsetsResponse(Response):
    API_KEY = 28
    API_VERSION = 5
    SCHEMA = Schema(("throttle_time_ms", Int32), _by_topic(("error_code", Int16)), _TAGS)


class _TransactionOffsetsRequest(_EncodedOnce, RequestStruct):
    API_KEY = 28
    API_VERSION = 5
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = _TransactionOffsetsResponse
    SCHEMA = Schema(
        ("transactional_id", _TEXT),
        ("group_id", _TEXT),
        ("producer_id", Int64),
        ("producer_epoch", Int16),
        ("generation_id", Int32),
        ("member_id", _TEXT),
        ("group_instance_id", _TEXT),
        _by_topic(("offset", Int64), ("leader_epoch", Int32), ("metadata", _TEXT)),
        _TAGS,
    )


class _EndTransactionResponse(Response):
    API_KEY = 26
    API_VERSION = 5
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("error_code", Int16),
        ("producer_id", Int64),
        ("producer_epoch", Int16),
        _TAGS,
    )


class _EndTransactionRequest(_EncodedOnce, RequestStruct):
    API_KEY = 26
    API_VERSION = 5
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = _EndTransactionResponse
    SCHEMA = Schema(
        ("transactional_id", _TEXT),
        ("producer_id", Int64),
        ("producer_epoch", Int16),
        ("committed", Boolean),
        _TAGS,
    )


class _InitialiseAgainResponse(Response):
    API_KEY = 22
    API_VERSION = 4
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("error_code", Int16),
        ("producer_id", Int64),
        ("producer_epoch", Int16),
        _TAGS,
    )


class _InitialiseAgainRequest(RequestStruct):
    API_KEY = 22
    API_VERSION = 4
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = _InitialiseAgainResponse
    SCHEMA = Schema(
        ("transactional_id", _TEXT),
        ("transaction_timeout_ms", Int32),
        ("producer_id", Int64),
        ("producer_epoch", Int16),
        _TAGS,
    )


_REQUESTS = (_ProduceRequest, _TransactionOffsetsRequest, _EndTransactionRequest)


def is_spoken(answer: Any) -> bool:
    """Whether a cluster speaks the protocol: the broker knows the requests, and the cluster's feature level enables it.

    Args:
        answer: to :class:`ApiVersions`.
    """
    known = {api_key: highest for api_key, _, highest, _ in answer.api_keys}
    if any(known.get(request.API_KEY, -1) < request.API_VERSION for request in _REQUESTS):
        return False
    features = _FEATURES.decode(BytesIO(answer.tags.get(_FINALIZED_FEATURES, b"\x01"))) or []
    return any(name == _FEATURE and highest >= _FEATURE_LEVEL for name, highest, _, _ in features)


class ApiVersions(Request[_ApiVersionsRequest]):
    """Asks which requests a broker knows, and which features are enabled in its cluster."""

    API_KEY = _ApiVersionsRequest.API_KEY
    ALLOW_UNKNOWN_API_VERSION = True

    def build(self, request_struct_class: type[_ApiVersionsRequest]) -> _ApiVersionsRequest:
        """Build the request, with this client's name and version."""
        return request_struct_class("consolidator", "1", _NO_TAGS)


class Produce(Request[_ProduceRequest]):
    """Batches of records, one of each partition, of one transaction.

    Args:
        transactional_id: the producer's transactional id.
        timeout_ms: how long the broker waits for its replicas.
        batches: by topic, partition and batch, as Kafka stores it.
    """

    API_KEY = _ProduceRequest.API_KEY

    def __init__(self, transactional_id: str, timeout_ms: int, batches: dict[str, list[tuple[int, bytes]]]) -> None:
        self._transactional_id = transactional_id
        self._timeout_ms = timeout_ms
        self._batches = batches

    def build(self, request_struct_class: type[_ProduceRequest]) -> _ProduceRequest:
        """acks=all: every in-sync replica has to have the records."""
        topics = [
            (topic, [(partition, batch, _NO_TAGS) for partition, batch in batches], _NO_TAGS)
            for topic, batches in self._batches.items()
        ]
        return request_struct_class(self._transactional_id, _ALL_REPLICAS, self._timeout_ms, topics, _NO_TAGS)


class TransactionOffsets(Request[_TransactionOffsetsRequest]):
    """Offsets of a consumer group that become the group's with the transaction.

    Args:
        transactional_id: the producer's transactional id.
        producer: the producer's id and epoch.
        group: the group's id.
        generation: the group's generation in which the records were received.
        member: the member that received them.
        instance: the static member's id; None: the member is not static.
        topic: the topic.
        offsets: by partition.
    """

    API_KEY = _TransactionOffsetsRequest.API_KEY

    def __init__(
        self,
        transactional_id: str,
        producer: tuple[int, int],
        *,
        group: str,
        generation: int,
        member: str,
        instance: str | None,
        topic: str,
        offsets: Sequence[tuple[int, int]],
    ) -> None:
        self._before = (transactional_id, group, *producer, generation, member, instance)
        self._topic = topic
        self._offsets = offsets

    def build(self, request_struct_class: type[_TransactionOffsetsRequest]) -> _TransactionOffsetsRequest:
        """No metadata is committed with the offset."""
        partitions = [(partition, offset, _NO_LEADER_EPOCH, None, _NO_TAGS) for partition, offset in self._offsets]
        return request_struct_class(*self._before, [(self._topic, partitions, _NO_TAGS)], _NO_TAGS)


class InitialiseAgain(Request[_InitialiseAgainRequest]):
    """Initialise a transactional id for a producer that has initialised it before (KIP-360).

    The coordinator refuses it if another producer has initialised the id since. If the coordinator has forgotten the
    id, no other producer has initialised it.

    Args:
        transactional_id: the id.
        timeout_ms: the timeout of its transactions.
        producer: the producer's present id and epoch.
    """

    API_KEY = _InitialiseAgainRequest.API_KEY

    def __init__(self, transactional_id: str, timeout_ms: int, producer: tuple[int, int]) -> None:
        self._transactional_id = transactional_id
        self._timeout_ms = timeout_ms
        self._producer = producer

    def build(self, request_struct_class: type[_InitialiseAgainRequest]) -> _InitialiseAgainRequest:
        """The answer has the new id and epoch."""
        return request_struct_class(self._transactional_id, self._timeout_ms, *self._producer, _NO_TAGS)


class EndTransaction(Request[_EndTransactionRequest]):
    """Commit a transaction.

    Args:
        transactional_id: the producer's transactional id.
        producer: the producer's id and epoch.
    """

    API_KEY = _EndTransactionRequest.API_KEY

    def __init__(self, transactional_id: str, producer: tuple[int, int]) -> None:
        self._transactional_id = transactional_id
        self._producer = producer

    def build(self, request_struct_class: type[_EndTransactionRequest]) -> _EndTransactionRequest:
        """To be committed."""
        return request_struct_class(self._transactional_id, *self._producer, True, _NO_TAGS)  # noqa: FBT003 - a field
