"""A subscriber that keeps a view and a journal in SQLite, each effect in one transaction with the token after it.

    python -m tests.fault_runs.keeping_subscriber SERVERS PREFIX DATABASE START [GROUP]

START is ``snapshot``, ``beginning``, a time, or JSON: offsets by partition, or a token as a text. It counts where no
token is stored. It runs until it is killed; SIGTERM closes the subscription.
"""

import json
import signal
import sqlite3
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing, suppress
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import Any, Final

import consolidator
from consolidator import Changed, Current, Erased, Item, MustRefetch, Progress, Revoked, SnapshotEnd, partition_of

__all__ = ["connect", "parse_start"]

PARTITIONS: Final = 4
ALL: Final = -1
"""The row of a token that covers all partitions."""

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS view (application TEXT, processor TEXT, partition INT, version INT, factors TEXT,
    PRIMARY KEY (application, processor));
CREATE TABLE IF NOT EXISTS shown (topic TEXT, partition INT, offset INT, PRIMARY KEY (topic, partition, offset));
CREATE TABLE IF NOT EXISTS tokens (partition INT PRIMARY KEY, token TEXT);
CREATE TABLE IF NOT EXISTS refetches (reason TEXT);
"""


def connect(path: Path) -> sqlite3.Connection:
    """The database, with its tables."""
    database = sqlite3.connect(path, timeout=60.0, isolation_level=None)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = OFF")
    database.executescript(_SCHEMA)
    return database


def parse_start(text: str) -> Any:
    """Where to begin, from the command line."""
    with suppress(ValueError):
        given = json.loads(text)
        return {int(one): offset for one, offset in given.items()} if isinstance(given, dict) else given
    with suppress(ValueError):
        return datetime.fromisoformat(text)
    return text


class Keeper:
    """Handles items, each in one transaction.

    Args:
        database: where they are kept.
        is_member: tokens are of single partitions.
    """

    def __init__(self, database: sqlite3.Connection, *, is_member: bool) -> None:
        self._database = database
        self._is_member = is_member

    def stored(self, partitions: Sequence[int]) -> Mapping[int, str]:
        """The tokens of some partitions."""
        rows = self._database.execute("SELECT partition, token FROM tokens").fetchall()
        return {partition: token for partition, token in rows if partition in partitions}

    def take(self, item: Item) -> None:
        """Keep what an item says, and its token."""
        if isinstance(item, Revoked):
            return
        self._database.execute("BEGIN IMMEDIATE")
        match item:
            case Current(factors, partition, offset) | Changed(factors, partition, offset):
                self._shown("factors" if isinstance(item, Current) else "changes", partition, offset)
                self._database.execute(
                    "INSERT INTO view VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET version = excluded.version, "
                    "factors = excluded.factors",
                    (
                        factors.application_id,
                        factors.processor,
                        partition,
                        factors.version.offset,
                        json.dumps(factors.values(), default=str),
                    ),
                )
            case Erased(application_id, processor, _, partition, offset):
                self._shown("changes" if processor is None else "factors", partition, offset)
                self._database.execute("DELETE FROM view WHERE application = ?", (application_id,))
            case MustRefetch(reason, partitions):
                self._refetch(reason, partitions)
            case _:
                pass
        self._keep(item)
        self._database.execute("COMMIT")

    def _shown(self, topic: str, partition: int, offset: int) -> None:
        # A record that comes twice violates the key, and ends the subscriber: the test sees that.
        self._database.execute("INSERT INTO shown VALUES (?, ?, ?)", (topic, partition, offset))

    def _refetch(self, reason: str, partitions: Iterable[int]) -> None:
        self._database.execute("INSERT INTO refetches VALUES (?)", (reason,))
        for partition in partitions:
            self._database.execute("DELETE FROM view WHERE partition = ?", (partition,))
            self._database.execute("DELETE FROM shown WHERE partition = ?", (partition,))

    def _keep(self, item: Item) -> None:
        partitions = _partitions(item) if self._is_member else (ALL,)
        for partition in partitions:
            self._database.execute(
                "INSERT INTO tokens VALUES (?, ?) ON CONFLICT DO UPDATE SET token = excluded.token",
                (partition, item.token),
            )


def _partitions(item: Item) -> tuple[int, ...]:
    match item:
        case Current(_, partition) | Changed(_, partition):
            return (partition,)
        case Erased(application_id):
            return (partition_of(application_id, PARTITIONS),)
        case Progress(positions):
            return tuple(positions)
        case SnapshotEnd(partitions) | consolidator.CaughtUp(partitions) | MustRefetch(_, partitions):
            return partitions
    raise TypeError(type(item).__name__)


def main(servers: str, prefix: str, path: str, start: str, group: str | None = None) -> None:
    """Run until the end."""
    with closing(connect(Path(path))) as database:
        keeper = Keeper(database, is_member=group is not None)
        arguments: dict[str, Any] = {"group": group, "stored": keeper.stored} if group is not None else {}
        kept = {} if group is not None else keeper.stored([ALL])
        subscription = consolidator.subscribe(
            servers,
            topic_prefix=prefix,
            start=kept.get(ALL, parse_start(start)),
            progress_s=0.5,
            **arguments,
        )

        def leave(_number: int, _frame: FrameType | None) -> None:
            raise SystemExit

        signal.signal(signal.SIGTERM, leave)
        with subscription:
            for item in subscription:
                keeper.take(item)


if __name__ == "__main__":
    main(*sys.argv[1:])
