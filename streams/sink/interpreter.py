"""What Python's own housekeeping is set to where cuts are made and written."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

__all__ = ["set_for_cuts"]

_SWITCH_S: Final = 0.000_5
"""After so long the thread that plans lets the one that writes go on; Python's own 5 ms are as long as a statement."""

_COLLECT_OBJECTS: Final = 200_000
"""So many new objects there are before cycles are looked for. A cut makes some hundred thousand, which go with it and
have no cycles; looking at them each 700 takes a seventh of the time."""


@contextmanager
def set_for_cuts() -> Iterator[None]:
    """Set the whole process so, for as long as it makes cuts."""
    thresholds, switch_s = gc.get_threshold(), sys.getswitchinterval()
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECT_OBJECTS, *thresholds[1:])
    sys.setswitchinterval(_SWITCH_S)
    try:
        yield
    finally:
        sys.setswitchinterval(switch_s)
        gc.set_threshold(*thresholds)
        gc.unfreeze()
