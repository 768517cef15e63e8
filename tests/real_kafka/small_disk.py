"""A file system of a test's own, small enough to run full."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

__all__ = ["mounted_disk"]


@contextmanager
def mounted_disk(directory: Path, size: str) -> Iterator[Path]:
    """Mount a file system in memory; skips the test where that is not permitted.

    Args:
        directory: where to mount it; it is made.
        size: its size as ``mount`` takes it: ``64k``, ``5m``.
    """
    directory.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(directory)]
    mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"needs the right to mount a tmpfs: {mounted.stderr.strip()}")
    try:
        yield directory
    finally:
        subprocess.run(["umount", str(directory)], check=True)
