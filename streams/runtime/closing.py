"""A base class for objects that open several resources, and close them together."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import Self

__all__ = ["Closing"]


class Closing:
    """A context manager that closes its resources at its end, in reverse order.

    A subclass puts its resources onto the stack. In its ``__init__`` it does so within :meth:`_opening`, which closes
    them if the next one cannot be opened.
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
        """Open several resources; if one cannot be opened, the others are closed."""
        try:
            yield self._stack
        except BaseException:
            self._stack.close()
            raise
