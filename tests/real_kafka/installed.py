"""An installation for as long as a test, or the tests of a module, take."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.real_kafka.installation import Installation

__all__ = ["installed"]


@contextmanager
def installed(servers: str, directory: Path, **variables: str) -> Iterator[Installation]:
    """An installation with its topics; its workers die with the context.

    Args:
        servers: the brokers.
        directory: for its state and logs.
        variables: of its environment.
    """
    found = Installation(servers, directory, **variables)
    found.create_topics()
    try:
        yield found
    finally:
        found.close()
