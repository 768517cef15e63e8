"""Looks at a sink's database at random moments, as any reader may, while the sinks are being broken."""

import random
import threading
import time
from typing import Self

import psycopg

from tests.databases.snapshots import AWAY, Reader, Snapshot

__all__ = ["DatabaseWatch"]

GLANCES_S = 0.5
"""In the mean from one glance to the next."""

_END_S = 120.0


class DatabaseWatch:
    """Looks from a thread of its own for the time of a ``with`` block.

    A *glance* is cheap and judged at once; a *snapshot* is everything, and judged by the oracle afterwards.

    Args:
        reader: the database.
        seed: of the moments.
        snapshots_s: in the mean from one snapshot to the next.
        most: snapshots, as all of them are kept.

    Attributes:
        snapshots: in the order of their moments.
        glances: how many.
        problems: what was seen in them.
    """

    def __init__(self, reader: Reader, seed: int, *, snapshots_s: float, most: int) -> None:
        self.snapshots: list[Snapshot] = []
        self.glances = 0
        self.problems: list[str] = []
        self._reader = reader
        self._rng = random.Random(seed)
        self._snapshots_s = snapshots_s
        self._most = most
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, name="watch")
        self._failures: list[BaseException] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(_END_S)
        assert not self._thread.is_alive()
        assert not self._failures, self._failures[0]

    def _look(self) -> None:
        due = time.monotonic() + self._rng.uniform(0, self._snapshots_s)
        try:
            while not self._over.wait(self._rng.uniform(0, 2 * GLANCES_S)):
                # It may be killed, or have no tables yet: then there is nothing to be seen.
                try:
                    self.problems += self._reader.glance(self._rng.random())
                    self.glances += 1
                    if time.monotonic() >= due and len(self.snapshots) < self._most:
                        self.snapshots.append(self._reader.snapshot())
                        due = time.monotonic() + self._rng.uniform(0, 2 * self._snapshots_s)
                except (*AWAY, psycopg.errors.UndefinedTable):
                    continue
        except BaseException as error:
            self._failures.append(error)
            raise
