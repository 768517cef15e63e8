"""A database that a sink keeps, looked at as any reader does; and whether it is what Kafka says."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from consolidator.keys import parse_event_key
from streams.sink.database import open_for_reading, url_of
from streams.sink.schema import CURRENT
from tests.real_kafka.installation import Installation
from tests.real_kafka.worker_process import CONSOLIDATOR, WorkerProcess, wait_until

LIMIT_S = 90.0


class Model:
    """One database, and the sinks that write into it.

    Args:
        installation: whose it is.
        url: where it is.
    """

    def __init__(self, installation: Installation, url: str) -> None:
        self.installation = installation
        self.url = url
        self.engine: Engine = open_for_reading(url_of(url))

    def start(self, **variables: str) -> WorkerProcess:
        """Start a sink; it dies with the installation."""
        return self.installation.start_program(
            str(CONSOLIDATOR), "sink", "run", CONSOLIDATOR_SINK_URL=self.url, **variables
        )

    def rows(self, query: str, **values: Any) -> list[dict[str, Any]]:
        """What a query gives."""
        with self.engine.connect() as connection:
            return [dict(row) for row in connection.execute(text(query), values).mappings()]

    def positions(self) -> dict[int, int]:
        """The cut of each partition; empty: the database is away, or has no tables yet."""
        try:
            return {
                row["source_partition"]: row["next_offset"]
                for row in self.rows("SELECT source_partition, next_offset FROM sink_position")
            }
        except DBAPIError:
            return {}

    def epochs(self) -> dict[int, tuple[int, str]]:
        """Epoch and owner of each partition."""
        return {
            row["source_partition"]: (row["owner_epoch"], row["owner"])
            for row in self.rows("SELECT source_partition, owner_epoch, owner FROM sink_position")
        }

    def wait_through(self, *sinks: WorkerProcess, limit_s: float = LIMIT_S) -> None:
        """Wait until the rows are where the workers are now."""
        committed = self.installation.committed()

        def through() -> bool:
            for sink in sinks:
                assert sink.exit_code is None, sink.tail()
            positions = self.positions()
            return all(positions.get(partition, -1) >= offset for partition, offset in committed.items() if offset)

        wait_until(
            through,
            f"rows at {committed}",
            limit_s=limit_s,
            details=lambda: f"{self.positions()}\n" + "".join(sink.tail() for sink in sinks),
        )

    def mentions(self, application: str) -> int:
        """In how many rows of all tables an application stands."""
        return sum(
            self.rows(f"SELECT COUNT(*) AS n FROM {table.name} WHERE application_id = :id", id=application)[0]["n"]
            for table in CURRENT.of_application
        )

    def check(self) -> None:
        """Nothing lost, nothing doubled: every table says what Kafka's topics say, and the view agrees with both."""
        changes, factors, letters = self.installation.published()
        documents = Counter(row["document"] for row in self.rows("SELECT document FROM factor_changes"))
        last = {record.key: record.value for record in factors}
        gone = {parse_event_key(key)[0] for key, value in last.items() if value is None}
        published = {record.key: record.value for record in changes}
        expected = Counter(
            value.decode()
            for key, value in published.items()
            if value is not None and parse_event_key(key)[0] not in gone
        )
        assert documents == expected
        current = {key: json.loads(value) for key, value in last.items() if value is not None}
        assert {
            (one["application_id"], one["processor"], one["outcome"], *self._counts(one["executions"]))
            for one in current.values()
        } == {
            (row["application_id"], row["processor"], row["outcome"], *self._counts(row))
            for row in self.rows("SELECT * FROM consolidations")
        }
        shown: dict[tuple[str, str], dict[str, Any]] = {
            (one["application_id"], one["processor"]): {} for one in current.values()
        }
        for row in self.rows("SELECT * FROM factors"):
            shown[row["application_id"], row["processor"]][row["factor"]] = json.loads(row["value"])
        assert shown == {(one["application_id"], one["processor"]): one["factors"] for one in current.values()}
        active = Counter(
            (row["application_id"], row["processor"])
            for row in self.rows(
                "SELECT application_id, processor FROM processor_executions WHERE status IN ('completed', 'failed')"
            )
        )
        assert active == Counter(
            {
                pair: count
                for one in current.values()
                if (count := one["executions"]["active"])
                for pair in [(one["application_id"], one["processor"])]
            }
        )
        assert {(row["source_partition"], row["letter_offset"]) for row in self.rows("SELECT * FROM dead_letters")} == {
            (record.partition, record.offset) for record in letters if record.value is not None
        }

    @staticmethod
    def _counts(found: dict[str, Any]) -> tuple[int, ...]:
        return tuple(found[name] for name in ("active", "completed", "failed", "contributing"))

    def close(self) -> None:
        """Let go of its connections."""
        self.engine.dispose()


def sqlite_url(directory: Path) -> str:
    """The URL of a new file."""
    return f"sqlite:///{directory}/model.db"
