"""The strategy's repository over SQL (sections 3, 6 and 7): one query, with the failed executions in it.

The query of before stands beside it, so that what changes can be seen on one database.
"""

import json
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import Engine, Row, text

from streams.core import ExecutionRecord

__all__ = ["LegacySqlExecutionRepository", "SqlExecutionRepository"]

_QUERY: Final = """\
SELECT pe.execution_id, pe.processor, pe.status, pe.attempt, pe.output, pe.occurred_at, pe.application_id, pe.sequence,
       pe.error_code, pe.supersedes, pe.event_id
FROM processor_executions pe
WHERE pe.application_id = :application_id AND pe.processor = :processor AND {status}
ORDER BY pe.occurred_at, pe.execution_id"""

ACTIVE: Final = "pe.status IN ('completed', 'failed')"
"""The proposed condition of the strategy, section 3."""

COMPLETED: Final = "pe.status = 'completed'"
"""The condition of before."""


class SqlExecutionRepository:
    """An :class:`~streams.core.ExecutionRepository` over the view ``processor_executions``.

    Args:
        engine: the database; see :func:`streams.sink.database.open_for_reading`.
    """

    _condition = ACTIVE

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._query = text(_QUERY.format(status=self._condition))

    def get_active_executions(self, application_id: str, processor: str) -> list[ExecutionRecord]:
        """See :class:`~streams.core.ExecutionRepository`: exactly one query.

        Raises:
            sqlalchemy.exc.DBAPIError: the database failed.
        """
        with self._engine.connect() as connection:
            found = connection.execute(self._query, {"application_id": application_id, "processor": processor})
            return [_record(row) for row in found]


class LegacySqlExecutionRepository(SqlExecutionRepository):
    """As the platform asked before: failed executions are left out, and all that failed come to none."""

    _condition = COMPLETED


def _record(row: Row[Any]) -> ExecutionRecord:
    return ExecutionRecord(
        execution_id=row.execution_id,
        processor=row.processor,
        status=row.status,
        attempt=row.attempt,
        # A float would lose digits.
        output=None if row.output is None else json.loads(row.output, parse_float=Decimal),
        occurred_at=datetime.fromisoformat(row.occurred_at),
        application_id=row.application_id,
        sequence=row.sequence,
        error_code=row.error_code,
        supersedes=row.supersedes,
        event_id=row.event_id,
    )
