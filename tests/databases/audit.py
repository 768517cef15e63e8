"""Which process wrote a row, and whose its partition was at that moment: noted by triggers of the database itself.

In PostgreSQL each sink has a role of its own, and the trigger asks for the session's. SQLite knows no roles: there the
trigger asks a function, ``written_by()``, that ``tests/fault_runs/signing_sink.py`` gives each of its connections; a
connection without the function cannot write at all.
"""

from dataclasses import dataclass

from tests.databases.snapshots import Reader

__all__ = ["Audit", "Written"]

_OPERATIONS = {"INSERT": "NEW", "UPDATE": "NEW", "DELETE": "OLD"}

_SQLITE_TABLE = (
    "CREATE TABLE audit (id INTEGER PRIMARY KEY AUTOINCREMENT, writer TEXT, owner TEXT, target TEXT, partition INTEGER)"
)
_POSTGRESQL_TABLE = (
    "CREATE TABLE audit (id BIGSERIAL PRIMARY KEY, writer TEXT, owner TEXT, target TEXT, partition BIGINT)"
)
_OWNER_OF = "(SELECT owner FROM sink_position WHERE source_partition = {row}.source_partition)"
_POSTGRESQL_FUNCTION = f"""
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE one RECORD;
BEGIN
    IF TG_OP = 'DELETE' THEN one := OLD; ELSE one := NEW; END IF;
    INSERT INTO audit (writer, owner, target, partition)
    VALUES (session_user, {_OWNER_OF.format(row="one")}, TG_TABLE_NAME, one.source_partition);
    RETURN NULL;
END $$
"""


@dataclass(frozen=True)
class Written:
    """Rows that one process wrote into partitions of one owner.

    Attributes:
        writer: the process: in SQLite its id, in PostgreSQL its role.
        owner_pid: the process that had the partition at that moment.
        rows: how many.
    """

    writer: str
    owner_pid: int
    rows: int


class Audit:
    """The triggers of one database, and what they noted.

    Args:
        reader: the database; a sink has made its tables.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        tables = reader.tables_with("source_partition")
        if reader.is_sqlite:
            reader.change(_SQLITE_TABLE, *(_sqlite_trigger(table, one) for table in tables for one in _OPERATIONS))
            return
        each = "AFTER INSERT OR UPDATE OR DELETE"
        triggers = [f"CREATE TRIGGER note {each} ON {one} FOR EACH ROW EXECUTE FUNCTION note()" for one in tables]
        reader.change(_POSTGRESQL_TABLE, _POSTGRESQL_FUNCTION, *triggers)

    def last(self) -> int:
        """The number of the last note so far; 0: there is none."""
        [(found,)] = self._reader.ask("SELECT COALESCE(MAX(id), 0) FROM audit")
        return int(found)

    def written(self, after: int = 0) -> list[Written]:
        """Who wrote how many rows into whose partitions, after a note."""
        found = self._reader.ask(f"SELECT writer, owner, COUNT(*) FROM audit WHERE id > {after} GROUP BY writer, owner")
        return [Written(str(writer), int(owner.rpartition(":")[2]), rows) for writer, owner, rows in found]


def _sqlite_trigger(table: str, operation: str) -> str:
    row = _OPERATIONS[operation]
    return (
        f"CREATE TRIGGER note_{table}_{operation.lower()} AFTER {operation} ON {table} BEGIN"
        f" INSERT INTO audit (writer, owner, target, partition) VALUES"
        f" (written_by(), {_OWNER_OF.format(row=row)}, '{table}', {row}.source_partition); END"
    )
