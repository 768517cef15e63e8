"""How much of a core a broker's own compilers take: a new JVM compiles itself for minutes, at the cost of all else."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

__all__ = ["CompilerWatch"]

_THREADS = ("C1 CompilerThre", "C2 CompilerThre")
"""As Linux shows them: fifteen characters of a thread's name."""


@dataclass(slots=True)
class CompilerWatch:
    """Watches the compiler threads of a JVM.

    Attributes:
        pid: the JVM's process; None: it is not ours, and nothing is known of it.
    """

    pid: int | None
    _since_s: float = 0.0
    _cpu_s: float | None = None

    def start(self) -> None:
        """Begin to measure."""
        self._since_s, self._cpu_s = time.monotonic(), self._compiling_s()

    def share(self) -> float | None:
        """Cores that the compilers have kept busy since the start; None: not known, of another machine or system."""
        now = self._compiling_s()
        if now is None or self._cpu_s is None:
            return None
        return (now - self._cpu_s) / (time.monotonic() - self._since_s)

    def _compiling_s(self) -> float | None:
        tasks = Path(f"/proc/{self.pid}/task")
        if self.pid is None or not tasks.is_dir():
            return None
        ticks = 0
        for task in tasks.iterdir():
            try:
                name, _, rest = task.joinpath("stat").read_text().partition("(")[2].rpartition(")")
            except FileNotFoundError:
                # Ended meanwhile: a JVM gives compilers up that have nothing to do.
                continue
            if name in _THREADS:
                ticks += sum(map(int, rest.split()[11:13]))
        return ticks / os.sysconf("SC_CLK_TCK")
