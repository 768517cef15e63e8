"""A proxy between a worker and its broker: it forwards librdkafka's connections, and disturbs aiokafka's.

The worker first checks the cluster with librdkafka, and only then starts Faust with aiokafka. Both begin with the same
request, *ApiVersions*, of which aiokafka sends version 0.
"""

import contextlib
import select
import socket
import struct
import threading
from types import TracebackType
from typing import Final, Literal, Self

_API_VERSIONS: Final = 18
_REQUEST: Final = struct.Struct(">ihh")
"""Size, API and version: the beginning of every request."""

_READ_BYTES: Final = 65_536


class UnfriendlyBroker:
    """A proxy for the bootstrap address. The brokers' own addresses, in their metadata, lead around it.

    Args:
        servers: the real broker.
        treatment: "refuses": closes aiokafka's connections; "is silent": never answers them.
    """

    def __init__(self, servers: str, treatment: Literal["refuses", "is silent"]) -> None:
        host, _, port = servers.partition(":")
        self._real = host, int(port)
        self._treatment = treatment
        self._stack = contextlib.ExitStack()
        self._listener = self._stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        self.servers = f"127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._stack.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            beginning = client.recv(_REQUEST.size, socket.MSG_PEEK | socket.MSG_WAITALL)
            if len(beginning) < _REQUEST.size:
                return
            _, api, version = _REQUEST.unpack(beginning)
            if (api, version) != (_API_VERSIONS, 0):
                self._pass_through(client)
            elif self._treatment == "is silent":
                while client.recv(_READ_BYTES):
                    pass

    def _pass_through(self, client: socket.socket) -> None:
        with socket.create_connection(self._real) as real:
            other = {client: real, real: client}
            while True:
                for ready in select.select(list(other), [], [])[0]:
                    data = ready.recv(_READ_BYTES)
                    if not data:
                        return
                    other[ready].sendall(data)
