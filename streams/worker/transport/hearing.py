"""Results of connections are reported to :class:`~streams.runtime.contact.KafkaContact`, and not logged.

A broker that is silent is left after some seconds.

aiokafka and librdkafka write a line for each attempt that fails, and none when one succeeds again: 1,389 lines in 27 s
without a broker (``tests/integration/worker/test_kafka_contact.py``).
"""

import asyncio
import errno
import logging
import socket
import ssl
from collections.abc import Callable
from typing import Any, Final

from aiokafka import conn
from aiokafka.conn import AIOKafkaConnection
from aiokafka.errors import KafkaError as AiokafkaError
from confluent_kafka import KafkaError

from streams.runtime.contact import KafkaContact

__all__ = ["hear_aiokafka", "heard_connection", "librdkafka_errors", "passes"]

_LONG_ANSWERS: Final = frozenset({11, 14})
"""JoinGroup and SyncGroup are answered only when all members of the group have joined, so a wait for them is normal."""

_ANSWER_S: Final = 15.0
"""How long any other answer, or a connection, is waited for. The client's own limit has to be longer than JoinGroup may
take; a broker that is silent would be waited for that long, and so would others: one connection is made at a time. The
client's own limit holds for the first connection, because a start without an answer ends the worker."""

_HEARTBEAT: Final = 12
_HEARTBEAT_S: Final = 5.0
"""How long the answer to a heartbeat is waited for: the next coordinator has to hear of the member within its session,
which takes 10 s by default."""

_CLIENT: Final = "aiokafka"
"""The logger of aiokafka's client; all its errors are about connections."""

_OTHERS: Final = ("aiokafka.consumer.fetcher", "aiokafka.consumer.group_coordinator")

_UNREACHABLE: Final = frozenset(
    {
        KafkaError._TRANSPORT,  # noqa: SLF001 - librdkafka's names
        KafkaError._RESOLVE,  # noqa: SLF001
        KafkaError._TIMED_OUT,  # noqa: SLF001
    }
)
_NETWORK: Final = (ConnectionError, TimeoutError, socket.gaierror, ssl.SSLError, EOFError, asyncio.CancelledError)
_NETWORK_CODES: Final = frozenset(
    {
        None,  # an error for several addresses, each with a code of its own
        errno.EADDRNOTAVAIL,
        errno.EHOSTDOWN,
        errno.EHOSTUNREACH,
        errno.ENETDOWN,
        errno.ENETRESET,
        errno.ENETUNREACH,
    }
)
"""Errors of connections, which are temporary. Other codes are about disks, descriptors and the like, and are not."""

_FACILITIES: Final = frozenset({"FAIL", "ERROR", "REQTMOUT"})
"""The facilities of librdkafka's log lines that are reported to its error callback, too."""


def hear_aiokafka(contact: KafkaContact) -> None:
    """Make every aiokafka client of this process report to a contact, instead of logging failed connections."""
    # aiokafka's create_conn() looks the class up by this name.
    conn.AIOKafkaConnection = heard_connection(contact)
    if not logging.getLogger(_CLIENT).isEnabledFor(logging.DEBUG):
        # Use a filter, and not a level: a level would also hold for child loggers.
        logging.getLogger(_CLIENT).addFilter(lambda _record: False)
        for name in _OTHERS:
            logging.getLogger(name).addFilter(_names_no_passing_error)
        logging.getLogger("librdkafka").addFilter(_is_of_no_facility)


def heard_connection(contact: KafkaContact) -> type[AIOKafkaConnection]:
    """A class of connections that report to a contact whether their brokers answer, and do not wait for long."""

    class HeardConnection(AIOKafkaConnection):
        _connecting = False

        async def connect(self) -> Any:
            # Connecting takes several requests. The first may be answered and the next one refused, each time, so only
            # a connection that is complete counts as an answer.
            self._connecting = True
            connected = await self._heard(super().connect(), self._limited(_ANSWER_S))
            self._connecting = False
            return connected

        def send(self, request: Any, expect_response: bool = True) -> Any:  # noqa: FBT001, FBT002 - aiokafka's
            answer = super().send(request, expect_response)
            if self._connecting or request.API_KEY in _LONG_ANSWERS:
                return answer
            return self._heard(answer, self._limited(_HEARTBEAT_S if request.API_KEY == _HEARTBEAT else _ANSWER_S))

        def _limited(self, limit_s: float) -> float | None:
            # aiokafka wants to hear of the end of every connection but the first one.
            return None if self._on_close_cb is None else limit_s

        async def _heard(self, answer: Any, limit_s: float | None) -> Any:
            broker = f"{self._host}:{self._port}"
            contact.asked(broker)
            try:
                async with asyncio.timeout(limit_s):
                    found = await answer
            except asyncio.CancelledError:
                contact.left(broker)
                raise
            except Exception as error:
                contact.failed(broker, str(error) or _words(error, limit_s))
                raise
            contact.answered(broker)
            return found

    return HeardConnection


def librdkafka_errors(contact: KafkaContact) -> Callable[[KafkaError], None]:
    """The ``error_cb`` of a librdkafka client; called while the client serves callbacks."""

    def failed(error: KafkaError) -> None:
        # "host:port/7: Connect to ipv4#10.0.0.1:9092 failed: Connection refused (after 0ms in state CONNECT)". A
        # bootstrap address has no number: it is another name of one of the brokers.
        broker, _, rest = error.str().partition("/")
        if error.code() in _UNREACHABLE and rest.partition(":")[0].isdecimal():
            contact.failed(broker, error.str())

    return failed


def passes(error: BaseException) -> bool:
    """Whether a background failure of a Kafka client is temporary, because the client retries."""
    if isinstance(error, AiokafkaError):
        return bool(error.retriable)
    return isinstance(error, _NETWORK) or (type(error) is OSError and error.errno in _NETWORK_CODES)


def _words(error: Exception, limit_s: float | None) -> str:
    """What is said of an error without a text of its own."""
    is_silence = isinstance(error, TimeoutError) and limit_s is not None
    return f"no answer within {limit_s:.0f} s" if is_silence else type(error).__name__


def _names_no_passing_error(record: logging.LogRecord) -> bool:
    arguments = record.args if isinstance(record.args, tuple) else ()
    return not any(isinstance(each, BaseException) and passes(each) for each in arguments)


def _is_of_no_facility(record: logging.LogRecord) -> bool:
    """Whether a log line is not about connections. The client's logger puts the facility first."""
    return not (isinstance(record.args, tuple) and record.args and record.args[0] in _FACILITIES)
