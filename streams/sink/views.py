"""The views, in SQL that SQLite and PostgreSQL both read.

``processor_executions`` states the rules of :mod:`streams.core.standing` in SQL, from ``lifecycle_events`` alone: they
need no recursion, as a standing depends on the *set* of an execution's events, and on the ends of those that supersede
it.
``tests/properties/test_sql_view.py`` holds both against each other.
"""

from typing import Final

__all__ = ["views"]

_SAME_EXECUTION: Final = (
    "{a}.application_id = {b}.application_id AND {a}.processor = {b}.processor AND {a}.execution_id = {b}.execution_id"
)


def _same(a: str, b: str) -> str:
    return _SAME_EXECUTION.format(a=a, b=b)


def _later_end(prefix: str, end: str, later: str) -> str:
    """Whether an execution has an end after this one, by (attempt, sequence or -1, occurred_at, event_id, digest)."""
    order = "{0}.attempt, COALESCE({0}.sequence, -1), {0}.occurred_at, {0}.event_id, {0}.digest"
    return (
        f"EXISTS (SELECT 1 FROM {prefix}lifecycle_events {later} WHERE {_same(later, end)}"
        f" AND {later}.status IN ('completed', 'failed')"
        f" AND ({order.format(later)}) > ({order.format(end)}))"
    )


def _closed(prefix: str, end: str, close: str, statuses: str) -> str:
    """Whether an event of these statuses reaches the attempt of an end."""
    return (
        f"EXISTS (SELECT 1 FROM {prefix}lifecycle_events {close} WHERE {_same(close, end)}"
        f" AND {close}.status IN ({statuses})"
        f" AND ({close}.attempt IS NULL OR {close}.attempt >= {end}.attempt))"
    )


def _processor_executions(prefix: str) -> str:
    """Each execution as it stands: by its end, or by what is known of one that has none."""
    return f"""
CREATE VIEW {prefix}processor_executions AS
SELECT
    e.application_id, e.processor, e.execution_id,
    CASE
        WHEN {_closed(prefix, "e", "c", "'superseded', 'cancelled'")} THEN 'closed'
        WHEN EXISTS (
            SELECT 1 FROM {prefix}lifecycle_events s
            WHERE s.application_id = e.application_id AND s.processor = e.processor
              AND s.supersedes = e.execution_id AND s.execution_id <> e.execution_id
              AND EXISTS (
                SELECT 1 FROM {prefix}lifecycle_events r
                WHERE {_same("r", "s")} AND r.status IN ('completed', 'failed')
                  AND NOT {_later_end(prefix, "r", "l")}
                  AND NOT {_closed(prefix, "r", "x", "'cancelled'")}
                  AND (r.status = 'completed' OR NOT EXISTS (
                    SELECT 1 FROM {prefix}processor_policies p
                    WHERE p.source_partition = r.source_partition AND p.processor = r.processor AND p.keep_previous))
              )
        ) THEN 'evicted'
        ELSE e.status
    END AS status,
    e.attempt, e.sequence, e.occurred_at, e.output, e.error_code, e.supersedes, e.event_id,
    e.source_partition, e.source_offset
FROM {prefix}lifecycle_events e
WHERE e.status IN ('completed', 'failed') AND NOT {_later_end(prefix, "e", "n")}
UNION ALL
SELECT
    o.application_id, o.processor, o.execution_id,
    CASE
        WHEN MAX(CASE WHEN o.status IN ('superseded', 'cancelled') AND o.attempt IS NULL THEN 1 ELSE 0 END) = 1
          OR MAX(CASE WHEN o.status IN ('superseded', 'cancelled') THEN o.attempt ELSE -1 END)
             >= MAX(COALESCE(o.attempt, 0)) THEN 'closed'
        ELSE 'open'
    END AS status,
    MAX(o.attempt), MAX(o.sequence), MAX(o.occurred_at), NULL, NULL, NULL, NULL,
    MAX(o.source_partition), MAX(o.source_offset)
FROM {prefix}lifecycle_events o
GROUP BY o.application_id, o.processor, o.execution_id
HAVING MAX(CASE WHEN o.status IN ('completed', 'failed') THEN 1 ELSE 0 END) = 0
"""


def _processor_statistics(prefix: str) -> str:
    """For each processor: pairs by outcome, active executions by result. Failure rate: failed / active."""
    return f"""
CREATE VIEW {prefix}processor_statistics AS
SELECT
    processor,
    COUNT(*) AS pairs,
    SUM(CASE WHEN outcome = 'consolidated' THEN 1 ELSE 0 END) AS consolidated,
    SUM(CASE WHEN outcome = 'partial' THEN 1 ELSE 0 END) AS partial,
    SUM(CASE WHEN outcome = 'cleared' THEN 1 ELSE 0 END) AS cleared,
    SUM(CASE WHEN outcome = 'withdrawn' THEN 1 ELSE 0 END) AS withdrawn,
    SUM(CASE WHEN outcome = 'in_progress' THEN 1 ELSE 0 END) AS in_progress,
    SUM(active) AS active,
    SUM(completed) AS completed,
    SUM(failed) AS failed,
    SUM(contributing) AS contributing
FROM {prefix}consolidations
GROUP BY processor
"""


def views(prefix: str = "") -> dict[str, str]:
    """The views of a set of tables: a statement that creates it, for each name.

    Args:
        prefix: of the set, see :class:`~streams.sink.schema.Tables`.
    """
    return {
        f"{prefix}processor_executions": _processor_executions(prefix),
        f"{prefix}processor_statistics": _processor_statistics(prefix),
    }
