"""Health with several processes: the command's process listens, and has a pair of sockets with each of its workers."""

import socket

from streams.health.awake import AwakeClock
from streams.health.children import Children
from streams.health.process_figures import program_version
from streams.health.report import Snapshot
from streams.health.server import HealthServer, listening_at

__all__ = ["ParentHealth"]


class ParentHealth:
    """Made before the workers are forked.

    Args:
        address: where to listen.
        app_id: the application id.
        count: how many workers there will be.

    Attributes:
        clock: of the parent, which has to tick it.

    Raises:
        SettingsError: nothing can listen at the address.
    """

    def __init__(self, address: str, app_id: str, count: int) -> None:
        self.clock = AwakeClock()
        self._app_id = app_id
        self._listener = listening_at(address)
        self._pairs = [socket.socketpair() for _ in range(count)]

    def in_child(self, number: int) -> socket.socket:
        """Close what is not the child's; return its end of its pair."""
        self._listener.close()
        own: socket.socket = self._pairs[number][1]
        for pair in self._pairs:
            for end in pair:
                if end is not own:
                    end.close()
        return own

    def serve(self) -> None:
        """Begin to answer, in the parent, after the last fork."""
        for _, child in self._pairs:
            child.close()
        empty = Snapshot("worker", program_version(), self._app_id, socket.gethostname())
        children = Children([parent for parent, _ in self._pairs], empty, clock=self.clock)
        HealthServer(self._listener, children.look).start()
