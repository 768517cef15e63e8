"""Whether the hot path is compiled here (docs/decisions/0016)."""

from pathlib import Path

from streams.core import fold

__all__ = ["is_compiled"]


def is_compiled() -> bool:
    """Whether the core's modules are compiled ones, as in the image."""
    return Path(fold.__file__).suffix != ".py"
