"""What opens several things, and closes them together."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import Self

__all__ = ["Closing"]


class Closing:
    """A context that closes at its end what it has opened, the last thing first.

    A subclass puts what it opens onto the stack: in its ``__init__`` within :meth:`_opening`, as nobody can close it
    there if the next thing cannot be opened; later without.
    """

    def __init__(self) -> None:
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @contextmanager
    def _opening(self) -> Iterator[ExitStack]:
        """Open what belongs together; where that fails, what is open already is closed."""
        try:
            yield self._stack
        except BaseException:
            self._stack.close()
            raise
