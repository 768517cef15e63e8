"""Opens what the verification and the rebuilding of a database both need."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy import Engine

from streams.cli.kafka import connection_of
from streams.configuration.connection import topics_of
from streams.configuration.settings import Settings
from streams.sink.database import disposed, open_for_snapshots
from streams.sink.upkeep.log import Log, open_log
from topics.cluster.authorization import require_permissions
from topics.contract.permissions import Role, permissions

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

__all__ = ["opened"]


@contextmanager
def opened(settings: Settings, url: "URL") -> Iterator[tuple[Engine, Log]]:
    """A database for snapshots, and its log in Kafka.

    Args:
        settings: the settings.
        url: the database.

    Raises:
        AuthorizationError: this client may not do what a sink does.
        ContractError: there is no database, or the topics are not as agreed.
        InfrastructureError: Kafka does not answer.
    """
    config = connection_of(settings).librdkafka()
    require_permissions(permissions(Role.SINK, topics_of(settings), settings.app_id), config)
    with disposed(open_for_snapshots(url)) as snapshots, open_log(settings, config) as log:
        yield snapshots, log
