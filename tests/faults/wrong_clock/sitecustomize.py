"""Shifts the wall clock of a Python process that has this directory on its PYTHONPATH; see ``test_wrong_clock.py``.

Monotonic clocks are not shifted: a machine with a wrong clock has correct monotonic clocks, too. The seconds come from
the environment.
"""

import datetime as dt
import os
import time
from typing import Any

_SHIFT_S = int(os.environ["CONSOLIDATOR_TEST_CLOCK_SHIFT_S"])
_SHIFT = dt.timedelta(seconds=_SHIFT_S)
_real_time, _real_time_ns, _RealDatetime = time.time, time.time_ns, dt.datetime


class _AnyDatetime(type):
    """C code makes instances of the real class: they are datetimes, too."""

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, _RealDatetime)


class _ShiftedDatetime(_RealDatetime, metaclass=_AnyDatetime):
    @classmethod
    def now(cls, tz: dt.tzinfo | None = None) -> Any:
        return _RealDatetime.now(tz) + _SHIFT

    @classmethod
    def utcnow(cls) -> Any:
        return _RealDatetime.now(dt.UTC).replace(tzinfo=None) + _SHIFT


time.time = lambda: _real_time() + _SHIFT_S
time.time_ns = lambda: _real_time_ns() + _SHIFT_S * 1_000_000_000
dt.datetime = _ShiftedDatetime  # type: ignore[misc]
