"""``consolidator sink status``."""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

from models.errors import InfrastructureError
from streams.cli.kafka import connection_of
from streams.cli.output.console import note, print_rows, say
from streams.configuration.connection import topics_of
from streams.configuration.settings import Settings
from streams.runtime.clock import system_ms
from streams.runtime.exit_codes import FOUND
from streams.sink.database import disposed, open_for_snapshots, transaction
from streams.sink.ownership import require_database
from streams.sink.upkeep.pending import open_pending
from streams.sink.upkeep.status import PartitionStatus, Status, with_log, written

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

__all__ = ["show_status"]

_HEADINGS = ("partition", "next offset", "behind workers", "behind log", "lag", "seen", "quarantined", "owner")
_UNKNOWN = "?"


def show_status(settings: Settings, url: "URL", *, output_format: str) -> None:
    """Print how a database stands.

    Args:
        settings: the settings.
        url: the database.
        output_format: ``table`` or ``json``.

    Raises:
        InfrastructureError: Kafka does not answer; what the database says is printed before.
    """
    topics = topics_of(settings)
    with disposed(open_for_snapshots(url)) as snapshots, transaction(snapshots) as connection:
        require_database(connection, None)
        status = written(connection, topics.partitions, system_ms())
    failure = None
    try:
        with open_pending(connection_of(settings).librdkafka(), topics, settings.app_id) as pending:
            status = with_log(status, pending, system_ms())
    except InfrastructureError as error:
        failure = error
    _print(status, output_format)
    if failure is not None:
        raise InfrastructureError(f"how far behind the database is, is not known: {failure}") from failure
    if status.problems():
        raise SystemExit(FOUND)


def _print(status: Status, output_format: str) -> None:
    if output_format == "json":
        for one in status.partitions:
            say(json.dumps({"kind": "partition"} | one.members(), ensure_ascii=False))
        say(json.dumps(status.members(), ensure_ascii=False))
        return
    print_rows(_HEADINGS, map(tuple, map(_cells, status.partitions)))
    for prefix, cuts in status.beside.items():
        say(f"tables {prefix}…: {', '.join(f'{partition}:{cut}' for partition, cut in cuts.items())}")
    note(*(f"problem: {one}" for one in status.problems()))


def _cells(one: PartitionStatus) -> Iterator[str]:
    yield str(one.partition)
    yield "-" if one.next_offset is None else str(one.next_offset)
    yield _UNKNOWN if one.lag_workers is None else f"{one.lag_workers:,}"
    yield _UNKNOWN if one.lag_log is None else f"{one.lag_log:,}"
    yield _UNKNOWN if one.lag_s is None else f"{one.lag_s:,.1f} s"
    yield "never" if one.seen_s is None else f"{one.seen_s:,.0f} s ago"
    yield f"{one.quarantined:,}"
    yield one.owner
