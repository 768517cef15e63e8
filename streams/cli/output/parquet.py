"""Parquet: pairs and changes as columns. Factors stay JSON text, so that no digit is lost in a column's type."""

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Final

import msgspec

from consolidator.keys import partition_of
from consolidator.records import FactorChange
from models.errors import ContractError, InfrastructureError
from models.numbers import quote
from streams.core.fold import Pair
from streams.core.pair_summary import summary_of
from streams.rulesets.rule_book import RuleBook

__all__ = ["change_rows", "pair_rows", "require_parquet", "write_parquet"]

_ROWS_A_GROUP: Final = 10_000
"""How many rows are in memory at a time. Readers skip whole groups, and work well with groups of tens of megabytes."""

_encode = msgspec.json.Encoder().encode

_COUNTS: Final = ("active", "completed", "failed", "contributing")


def require_parquet() -> None:
    """Raise if Parquet cannot be written, before a long replay begins.

    Raises:
        ContractError: pyarrow is not installed.
    """
    try:
        import pyarrow.parquet  # noqa: F401, PLC0415 - an optional extra
    except ImportError as error:
        raise ContractError(
            f"Parquet needs the package pyarrow ({error}): install it with pip install pyarrow (the extra parquet)"
        ) from None


def pair_rows(pairs: Iterable[Pair], book: RuleBook, partitions: int) -> Iterator[dict[str, Any]]:
    """The resulting pairs as rows, one for each pair."""
    for pair in pairs:
        summary = summary_of(pair, book.of_row(pair.row))
        yield {
            "application_id": summary.application_id,
            "processor": summary.processor,
            "processor_type": summary.processor_type,
            "outcome": summary.outcome,
            "factors": "{" + ",".join(f"{quote(name)}:{text}" for name, text in summary.factors.items()) + "}",
            **{name: getattr(summary.counts, name) for name in _COUNTS},
            "version_partition": partition_of(summary.application_id, partitions),
            "version_offset": pair.row.version,
        }


def change_rows(changes: Iterable[FactorChange]) -> Iterator[dict[str, Any]]:
    """Changes as rows, one for each change."""
    for change in changes:
        yield {
            "id": change.id,
            "application_id": change.application_id,
            "processor": change.processor,
            "processor_type": change.processor_type,
            "outcome": change.outcome,
            "previous_outcome": change.previous_outcome,
            "changed": _encode(change.changed).decode(),
            "factors": _encode(change.factors).decode(),
            **{name: getattr(change.executions, name) for name in _COUNTS},
            "cause_execution_id": change.cause.execution_id,
            "cause_status": change.cause.status,
            "cause_attempt": change.cause.attempt,
            "cause_event_id": change.cause.event_id,
            "version_partition": change.version.partition,
            "version_offset": change.version.offset,
            "occurred_at": change.occurred_at,
            "ruleset_name": change.ruleset.name,
            "ruleset_digest": change.ruleset.digest,
        }


_INTEGERS: Final = frozenset({*_COUNTS, "cause_attempt", "version_partition", "version_offset"})


def write_parquet(path: Path, rows: Iterator[dict[str, Any]]) -> None:
    """Write rows to a file, a group at a time. Without any row there are no columns either.

    Raises:
        InfrastructureError: the file cannot be written.
    """
    import pyarrow as pa  # noqa: PLC0415 - an optional extra
    from pyarrow import parquet  # noqa: PLC0415

    group = list(islice(rows, _ROWS_A_GROUP))
    names = list(group[0]) if group else []
    schema = pa.schema([(name, pa.int64() if name in _INTEGERS else pa.string()) for name in names])
    try:
        with parquet.ParquetWriter(path, schema, compression="zstd") as writer:
            while group:
                writer.write_table(pa.Table.from_pylist(group, schema=schema))
                group = list(islice(rows, _ROWS_A_GROUP))
    except OSError as error:
        raise InfrastructureError(f"cannot write {path}: {error}") from error
