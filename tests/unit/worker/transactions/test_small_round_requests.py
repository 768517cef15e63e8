"""Kafka's newer protocol of transactions, byte by byte, and who speaks it."""

from types import SimpleNamespace

import pytest
from confluent_kafka import KafkaError

from streams.worker.transactions.small_rounds.client import RefusedError, require_accepted
from streams.worker.transactions.small_rounds.requests import (
    ApiVersions,
    EndTransaction,
    Produce,
    TransactionOffsets,
    is_spoken,
)

# The requests of Kafka 4.0: key, lowest and highest version.
KNOWN = [(0, 3, 12, {}), (28, 0, 5, {}), (26, 0, 5, {}), (18, 0, 4, {})]
VERSIONS = {api_key: (lowest, highest) for api_key, lowest, highest, _ in KNOWN}


def feature(name, highest, lowest=0):
    """One feature of the cluster, as a broker encodes it."""
    encoded = bytes([len(name) + 1]) + name.encode()
    return encoded + highest.to_bytes(2, "big") + lowest.to_bytes(2, "big") + b"\0"


def answer(*features, known=KNOWN):
    """What a broker says of itself."""
    tags = {2: bytes([len(features) + 1]) + b"".join(features)} if features else {}
    return SimpleNamespace(api_keys=known, tags=tags)


def test_a_cluster_speaks_the_protocol_once_it_was_told_to():
    """New brokers alone do not make it: until the feature is raised, the coordinator keeps to the old protocol."""
    others = feature("metadata.version", 27), feature("group.version", 1)
    assert is_spoken(answer(*others, feature("transaction.version", 2)))
    assert not is_spoken(answer(*others, feature("transaction.version", 1)))
    assert not is_spoken(answer(*others))
    assert not is_spoken(answer())


@pytest.mark.parametrize("missing", [0, 26, 28])
def test_a_broker_that_lacks_one_of_the_requests_does_not_speak_it(missing):
    known = [(key, low, high - (key == missing), tags) for key, low, high, tags in KNOWN]
    assert not is_spoken(answer(feature("transaction.version", 2), known=known))


def encoded(request):
    """The request's body; the same each time that it is encoded, as aiokafka does twice."""
    struct = request.prepare(VERSIONS)
    first = struct.encode()
    assert struct.encode() is first
    return first


def test_the_requests_are_laid_out_as_kafka_has_them():
    """Compact lengths are one more than the length; every structure ends with its tags, none here."""
    assert (
        encoded(Produce("id", 1_000, {"t": [(3, b"batch")]}))
        == (
            b"\x03id" + b"\xff\xff" + b"\x00\x00\x03\xe8"  # all replicas, within a second
            b"\x02" + b"\x02t" + b"\x02" + b"\x00\x00\x00\x03" + b"\x06batch" + b"\0" + b"\0" + b"\0"
        )
    )
    offsets = TransactionOffsets(
        "id", (5, 6), group="g", generation=7, member="m", instance=None, topic="t", offsets=[(3, 9)]
    )
    assert encoded(offsets) == (
        b"\x03id" + b"\x02g" + (5).to_bytes(8, "big") + (6).to_bytes(2, "big") + (7).to_bytes(4, "big") + b"\x02m\x00"
        b"\x02" + b"\x02t" + b"\x02" + (3).to_bytes(4, "big") + (9).to_bytes(8, "big") + b"\xff\xff\xff\xff" + b"\0"
        b"\0" + b"\0" + b"\0"
    )
    assert encoded(EndTransaction("id", (5, 6))) == b"\x03id" + (5).to_bytes(8, "big") + b"\x00\x06" + b"\x01" + b"\0"
    # This one is asked before anything is known of a broker.
    assert ApiVersions().prepare({}).encode() == b"\x0dconsolidator" + b"\x021" + b"\0"


def test_of_several_refusals_the_one_that_is_for_good_is_told():
    """Asking again would help the others only."""
    require_accepted([("a", 0), ("b", 0)])
    with pytest.raises(RefusedError, match="c partition 3: ") as refused:
        require_accepted(
            [
                ("a", 0),
                ("b", KafkaError.NOT_LEADER_FOR_PARTITION),
                ("c partition 3", KafkaError.INVALID_PRODUCER_EPOCH),
            ]
        )
    assert refused.value.error.code() == KafkaError.INVALID_PRODUCER_EPOCH
