"""A producer like those of other languages: librdkafka itself, with which a header's name may be any bytes."""

import ctypes
from pathlib import Path

import confluent_kafka

__all__ = ["produce_with_header_name"]

_ERROR_BYTES = 512
_FLUSH_MS = 30_000
# rd_kafka_vtype_t: the type of the next argument.
_END, _TOPIC, _PARTITION, _VALUE, _KEY, _HEADERS = 0, 1, 3, 4, 5, 10


def produce_with_header_name(servers: str, topic: str, record: tuple[bytes, bytes, int], name: bytes) -> None:
    """Produce one record with a header of a given name, and wait for its acknowledgement."""
    key, value, partition = record
    library = _library()
    config = ctypes.c_void_p(library.rd_kafka_conf_new())
    error = ctypes.create_string_buffer(_ERROR_BYTES)
    assert library.rd_kafka_conf_set(config, b"bootstrap.servers", servers.encode(), error, _ERROR_BYTES) == 0, error
    producer = ctypes.c_void_p(library.rd_kafka_new(0, config, error, _ERROR_BYTES))
    assert producer, error.value
    headers = ctypes.c_void_p(library.rd_kafka_headers_new(1))
    assert library.rd_kafka_header_add(headers, name, ctypes.c_ssize_t(len(name)), b"v", ctypes.c_ssize_t(1)) == 0
    refused = library.rd_kafka_producev(
        producer,
        *(_TOPIC, topic.encode()),
        *(_PARTITION, ctypes.c_int32(partition)),
        *(_VALUE, value, ctypes.c_size_t(len(value))),
        *(_KEY, key, ctypes.c_size_t(len(key))),
        *(_HEADERS, headers),
        _END,
    )
    assert refused == 0
    assert library.rd_kafka_flush(producer, _FLUSH_MS) == 0
    library.rd_kafka_destroy(producer)


def _library() -> ctypes.CDLL:
    """The librdkafka that confluent-kafka's wheel brings."""
    [path] = (Path(confluent_kafka.__file__).parent.parent / "confluent_kafka.libs").glob("librdkafka-*")
    library = ctypes.CDLL(str(path))
    for maker in (library.rd_kafka_conf_new, library.rd_kafka_new, library.rd_kafka_headers_new):
        maker.restype = ctypes.c_void_p
    return library
