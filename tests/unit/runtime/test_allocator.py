"""The C library's allocator keeps to few arenas."""

import subprocess
import sys

import pytest

_RESERVED = """
import threading, hashlib, re
from pathlib import Path
from streams.runtime.allocator import keep_to_few_arenas
if {kept}:
    keep_to_few_arenas()
import ctypes
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]
barrier = threading.Barrier(24)
def take():
    barrier.wait()
    libc.malloc(1000)
    barrier.wait()
threads = [threading.Thread(target=take) for _ in range(24)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
spans = re.findall(r"^([0-9a-f]+)-([0-9a-f]+) ---p 00000000 00:00 0", Path("/proc/self/maps").read_text(), re.M)
print(sum(int(end, 16) - int(start, 16) > 32 * 2**20 for start, end in spans))
"""


def reserved(*, kept):
    """How many arenas' address space two dozen threads have reserved."""
    command = [sys.executable, "-c", _RESERVED.format(kept=kept)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc and glibc")
def test_threads_share_two_arenas():
    """Under a limit of the address space each further one counts as 64 MiB, and a machine of 64 cores allows 512."""
    assert reserved(kept=True) <= 2
    assert reserved(kept=False) > 2
