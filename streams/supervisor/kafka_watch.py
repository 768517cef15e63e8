"""How far the workers are, asked of Kafka by a thread of its own: the supervisor does not wait for it."""

import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Final

from models.errors import ConsolidatorError
from topics.contract.declared import Topics
from topics.reading.progress import GroupProgress

__all__ = ["KafkaWatch", "Progress"]

_LOOK_S: Final = 1.0
_RATE_LOOKS: Final = 10
"""The rate is that of the last so many looks."""

_END_LIMIT_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class Progress:
    """What Kafka said last.

    Attributes:
        through: offsets of ``executions`` that are consolidated, over all partitions; markers are offsets, too.
        end: all of its offsets.
        rate: offsets consolidated a second, lately.
        looked_at: monotonic seconds of the answer.
        error: why there is no newer answer; empty: there is.
    """

    through: int = 0
    end: int = 0
    rate: float = 0.0
    looked_at: float = 0.0
    error: str = ""

    @property
    def waiting(self) -> int:
        """Offsets that are not consolidated yet."""
        return max(0, self.end - self.through)


class KafkaWatch:
    """Asks once a second, from the time of :meth:`start` on.

    Args:
        config: for librdkafka.
        group: the workers' group.
        topics: the declared topics.
    """

    def __init__(self, config: Mapping[str, str | int], group: str, topics: Topics) -> None:
        self._config = dict(config)
        self._group = group
        self._topics = topics
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="kafka-watch", daemon=True)
        self._seen: deque[tuple[float, int]] = deque(maxlen=_RATE_LOOKS)
        self.progress: Progress | None = None

    def start(self) -> None:
        """Begin to ask."""
        self._thread.start()

    def close(self) -> None:
        """End the thread; a question that Kafka does not answer is not waited for."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join(_END_LIMIT_S)

    def _run(self) -> None:
        while not self._over.is_set():
            try:
                with GroupProgress(self._config, self._group, self._topics) as progress:
                    while not self._over.wait(_LOOK_S):
                        self._take(*progress.offsets())
            except ConsolidatorError as error:
                self._fail(str(error))
            except Exception as error:  # noqa: BLE001 - the display goes on, whatever a client raises
                self._fail(repr(error))
            self._over.wait(_LOOK_S)

    def _take(self, through: int, end: int) -> None:
        now = monotonic()
        self._seen.append((now, through))
        since, before = self._seen[0]
        rate = (through - before) / (now - since) if now > since else 0.0
        self.progress = Progress(through, end, max(0.0, rate), now)

    def _fail(self, error: str) -> None:
        self._seen.clear()
        last = self.progress or Progress()
        self.progress = Progress(last.through, last.end, 0.0, last.looked_at, error)
