"""How the database of a sink stands. Imported only where the extra ``sql`` is installed."""

from collections.abc import Mapping

from sqlalchemy.engine import URL

from streams.runtime.clock import system_ms
from streams.sink.database import disposed, open_for_snapshots, transaction
from streams.sink.ownership import require_database
from streams.sink.upkeep.pending import open_pending
from streams.sink.upkeep.status import Status, with_log, written
from topics.contract.declared import Topics

__all__ = ["name_of_database", "read_database"]


def read_database(url: URL, topics: Topics, group: str, config: Mapping[str, str | int] | None) -> Status:
    """How a database stands.

    Args:
        url: the database.
        topics: the declared topics.
        group: the workers' group.
        config: for librdkafka; None: Kafka is not asked how far it is behind.

    Raises:
        ContractError: there is no such database, or it is of another version.
        InfrastructureError: it does not answer, or Kafka does not.
    """
    with disposed(open_for_snapshots(url)) as snapshots, transaction(snapshots) as connection:
        require_database(connection, None)
        status = written(connection, topics.partitions, system_ms())
    if config is None:
        return status
    with open_pending(config, topics, group) as pending:
        return with_log(status, pending, system_ms())


def name_of_database(url: URL) -> str:
    """The URL without its password, and without options, in which one may stand as well."""
    return url.set(query={}).render_as_string(hide_password=True)
