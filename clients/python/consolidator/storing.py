"""Keeps a subscriber's position in the database that it writes to, in the same transaction as what it writes.

Effect and position are then committed together or not at all, so that each change takes effect exactly once, whatever
ends the process. Kafka's committed offsets cannot do that: they are committed before or after the database is.

**A compare-and-set is the fence.** :meth:`PositionTable.load` makes the caller the owner of a position, and
:meth:`PositionTable.store` replaces the token only if the caller still is the owner, and only if the token is the one
that it had read or stored last. If no row matches, another process has taken over. The transaction must then be
rolled back, and :class:`PositionTakenError` sees to it if it leaves the transaction's ``with`` block. A lock would not
do: its holder may have lost it without knowing, for instance because the server was restarted.

Any DB-API connection will do whose database has ``INSERT … ON CONFLICT``: ``sqlite3``, ``psycopg``, ``psycopg2``, and
SQLAlchemy's connections, also over these. With asynchronous connections use :meth:`PositionTable.load_async` and
:meth:`PositionTable.store_async`.
"""

import re
import sys
from collections.abc import Generator
from typing import Any, Final, NamedTuple, TypeVar

from consolidator.errors import SubscriberError

__all__ = ["HeldPosition", "PositionTable", "PositionTakenError"]

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)?")
"""Names that need no quotes, so that nothing else than a name can come into a statement."""

_PLACEHOLDERS: Final = {
    "qmark": "?",
    "numeric": ":{}",
    "numeric_dollar": "${}",
    "format": "%s",
    # Each known driver of this style takes %s with a sequence as well.
    "pyformat": "%s",
}
"""How a statement has its parameters, by PEP 249's styles (``numeric_dollar`` is SQLAlchemy's). ``named`` is missing:
sqlite3, which could do it, takes question marks."""

_IDLE: Final = 0
"""libpq's PQTRANS_IDLE: no transaction has begun."""

_COLUMNS: Final = (
    "(subscriber VARCHAR(255) NOT NULL, part VARCHAR(255) NOT NULL, owner BIGINT NOT NULL, "
    "token TEXT NOT NULL, PRIMARY KEY (subscriber, part))"
)
_INSERT: Final = "INSERT INTO {table} (subscriber, part, owner, token) VALUES (?, ?, 0, '') ON CONFLICT DO NOTHING"
_OWN: Final = "UPDATE {table} SET owner = owner + 1 WHERE subscriber = ? AND part = ?"
_READ: Final = "SELECT owner, token FROM {table} WHERE subscriber = ? AND part = ?"
_STORE: Final = "UPDATE {table} SET token = ? WHERE subscriber = ? AND part = ? AND owner = ? AND token = ?"

_Result = TypeVar("_Result")


class _Statement(NamedTuple):
    text: str
    parameters: tuple[str | int, ...]
    is_question: bool = False


class _Answer(NamedTuple):
    """The number of rows that a statement changed, and for a question its first row."""

    rows: int
    first: tuple[Any, ...] | None


_Steps = Generator[_Statement, _Answer, _Result]


class HeldPosition(NamedTuple):
    """A position, as its owner knows it.

    Attributes:
        part: the part of the subscription that it is about; empty: all of it.
        owner: which owner this one is, counted from 1; the next one has a greater number.
        token: the token that was stored last; None: none was.
    """

    part: str
    owner: int
    token: str | None


class PositionTakenError(SubscriberError):
    """Another process owns the position, or has stored another token. Roll back, and end or load again.

    Args:
        subscriber: the subscriber's name.
        held: the position as this process knew it.
        owner: the number of the present owner; None: the row is gone.
    """

    def __init__(self, subscriber: str, held: HeldPosition, owner: int | None) -> None:
        part = f", part {held.part!r}" if held.part else ""
        if owner is None:
            reason = "its row is gone"
        elif owner == held.owner:
            reason = "another token than the one that this process stored last is there"
        else:
            reason = f"owner {owner} has taken it over, this process is owner {held.owner}"
        super().__init__(f"the position of {subscriber!r}{part} is not this process's any more: {reason}")
        self.subscriber = subscriber
        self.held = held
        self.owner = owner


class PositionTable:
    """The positions of one subscriber in a table of its own database.

    Args:
        subscriber: the subscriber's name; several of them may share the table. At most 255 characters.
        table: the table's name, with or without a schema.
        paramstyle: how the driver's statements have their parameters, as its module's ``paramstyle`` says; None: it is
            looked up. Name it where the connection is wrapped by a class of another package.

    Raises:
        ValueError: the table's name would need quotes, or the style is unknown.
    """

    def __init__(self, subscriber: str, *, table: str = "consolidator_position", paramstyle: str | None = None) -> None:
        if _NAME.fullmatch(table) is None:
            raise ValueError(f"{table!r} is no name of a table that needs no quotes")
        if paramstyle is not None and paramstyle not in _PLACEHOLDERS:
            raise ValueError(f"{paramstyle!r} is none of {', '.join(_PLACEHOLDERS)}")
        self._subscriber = subscriber
        self._table = table
        self._paramstyle = paramstyle

    @property
    def create(self) -> str:
        """The statement that creates the table if it is not there; for migrations as well."""
        return f"CREATE TABLE IF NOT EXISTS {self._table} {_COLUMNS}"

    def load(self, connection: Any, part: str = "") -> HeldPosition:
        """Become the owner of a position, and read it. Commit afterwards, before anything is subscribed to.

        Whoever owned it before is refused from then on. A transaction in which the earlier owner is storing is waited
        for (in SQLite for the connection's ``timeout``).

        Args:
            connection: to the database.
            part: the part of the subscription, such as a partition of a group's member; empty: all of it.
        """
        return _run(connection, self._load(part), self._style(connection))

    def store(self, connection: Any, held: HeldPosition, token: str) -> HeldPosition:
        """Store a token in the transaction of the effects of everything before it.

        Args:
            connection: in that transaction.
            held: what :meth:`load` or the last committed :meth:`store` returned.
            token: the new one.

        Returns:
            The position to store with next, once the transaction is committed. After a rollback ``held`` still counts.

        Raises:
            PositionTakenError: the position is another process's. Roll back.
            SubscriberError: the connection commits each statement by itself.
        """
        found = _run(connection, self._store(held, token), self._style(connection))
        _require_transaction(connection)
        return found

    async def load_async(self, connection: Any, part: str = "") -> HeldPosition:
        """:meth:`load` for an asynchronous connection: psycopg's, aiosqlite's or SQLAlchemy's."""
        return await _run_async(connection, self._load(part), self._style(connection))

    async def store_async(self, connection: Any, held: HeldPosition, token: str) -> HeldPosition:
        """:meth:`store` for an asynchronous connection: psycopg's, aiosqlite's or SQLAlchemy's."""
        found = await _run_async(connection, self._store(held, token), self._style(connection))
        _require_transaction(connection)
        return found

    def _load(self, part: str) -> _Steps[HeldPosition]:
        place = (self._subscriber, part)
        yield self._statement(_INSERT, *place)
        # This locks the row until the caller commits, so that the token below is the last one.
        yield self._statement(_OWN, *place)
        row = (yield self._statement(_READ, *place, is_question=True)).first
        assert row is not None  # noqa: S101 - the row was inserted above, or was there
        return HeldPosition(part, int(row[0]), row[1] or None)

    def _store(self, held: HeldPosition, token: str) -> _Steps[HeldPosition]:
        place = (self._subscriber, held.part)
        done = yield self._statement(_STORE, token, *place, held.owner, held.token or "")
        if done.rows != 1:
            row = (yield self._statement(_READ, *place, is_question=True)).first
            raise PositionTakenError(self._subscriber, held, None if row is None else int(row[0]))
        return held._replace(token=token)

    def _statement(self, text: str, *parameters: str | int, is_question: bool = False) -> _Statement:
        return _Statement(text.replace("{table}", self._table), parameters, is_question)

    def _style(self, connection: Any) -> str:
        """The style of a connection's driver.

        Raises:
            ValueError: it cannot be found, or is not supported.
        """
        style = self._paramstyle or _style_of(connection)
        if style not in _PLACEHOLDERS:
            raise ValueError(
                f"the parameters' style of {type(connection).__name__} is {style or 'not known'}: give PositionTable "
                f"paramstyle={' or '.join(map(repr, _PLACEHOLDERS))}"
            )
        return style


def _style_of(connection: Any) -> str | None:
    dialect = getattr(connection, "dialect", None)
    if dialect is not None:
        return getattr(dialect, "paramstyle", None)
    for each in type(connection).__mro__:
        package = each.__module__.partition(".")[0]
        # aiosqlite's classes are its own, its statements are sqlite3's.
        style = "qmark" if package == "aiosqlite" else getattr(sys.modules.get(package), "paramstyle", None)
        if style is not None:
            return str(style)
    return None


def _placed(text: str, style: str) -> str:
    """A statement with the driver's placeholders instead of question marks."""
    first, *others = text.split("?")
    placeholder = _PLACEHOLDERS[style]
    return first + "".join(f"{placeholder.format(number)}{rest}" for number, rest in enumerate(others, 1))


def _run(connection: Any, steps: _Steps[_Result], style: str) -> _Result:
    """Execute a generator's statements on a connection, and return its result."""
    answer = None
    while True:
        try:
            statement = next(steps) if answer is None else steps.send(answer)
        except StopIteration as end:
            result: _Result = end.value
            return result
        text = _placed(statement.text, style)
        if hasattr(connection, "exec_driver_sql"):
            # SQLAlchemy: by this, and not by its driver's cursor, it knows that a transaction has begun.
            cursor = connection.exec_driver_sql(text, statement.parameters)
        else:
            cursor = connection.cursor()
            cursor.execute(text, statement.parameters)
        answer = _Answer(cursor.rowcount, cursor.fetchone() if statement.is_question else None)
        cursor.close()


async def _run_async(connection: Any, steps: _Steps[_Result], style: str) -> _Result:
    """:func:`_run` for an asynchronous connection."""
    answer = None
    while True:
        try:
            statement = next(steps) if answer is None else steps.send(answer)
        except StopIteration as end:
            result: _Result = end.value
            return result
        text = _placed(statement.text, style)
        if hasattr(connection, "exec_driver_sql"):
            rows = await connection.exec_driver_sql(text, statement.parameters)
            answer = _Answer(rows.rowcount, rows.fetchone() if statement.is_question else None)
        else:
            cursor = await connection.execute(text, statement.parameters)
            answer = _Answer(cursor.rowcount, await cursor.fetchone() if statement.is_question else None)
            await cursor.close()


def _require_transaction(connection: Any) -> None:
    """Raise if the connection is known to have committed a statement by itself.

    Raises:
        SubscriberError: it has. The position was stored without its effects.
    """
    # sqlite3 and aiosqlite have the one, psycopg has the other; other drivers are believed.
    is_open = getattr(connection, "in_transaction", None)
    if not isinstance(is_open, bool):
        status = getattr(getattr(connection, "info", None), "transaction_status", None)
        is_open = None if status is None else status != _IDLE
    if is_open is False:
        raise SubscriberError(
            "the connection commits each statement by itself, so the position was stored apart from its effects: "
            "begin a transaction first, or switch autocommit off"
        )
