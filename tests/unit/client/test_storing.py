"""Positions in the subscriber's own database: with their effects or not at all, and for one owner at a time."""

import asyncio
import re
import sqlite3
import threading
from contextlib import asynccontextmanager, closing

import aiosqlite
import psycopg
import psycopg2
import pytest
import sqlalchemy
from sqlalchemy.ext.asyncio import create_async_engine

from consolidator import SubscriberError
from consolidator.storing import HeldPosition, PositionTable, PositionTakenError

LIMIT_S = 30

TABLE = PositionTable("underwriting")
EFFECTS = "CREATE TABLE effects (number INTEGER NOT NULL)"


def sqlite_connection(database):
    # One test has a connection in a thread of its own, which is closed with the others.
    return sqlite3.connect(database, timeout=LIMIT_S, check_same_thread=False)


def psycopg_connection(database):
    return psycopg.connect(database)


def psycopg2_connection(database):
    return psycopg2.connect(database)


def sqlalchemy_connection(database):
    scheme = "postgresql+psycopg" if str(database).startswith("postgresql") else "sqlite"
    url = f"{scheme}{str(database).removeprefix('postgresql')}" if scheme != "sqlite" else f"sqlite:///{database}"
    engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool)
    return engine.connect()


@pytest.fixture(
    params=[
        "sqlite3",
        "sqlalchemy over sqlite3",
        pytest.param("psycopg", marks=pytest.mark.postgres),
        pytest.param("psycopg2", marks=pytest.mark.postgres),
        pytest.param("sqlalchemy over psycopg", marks=pytest.mark.postgres),
    ]
)
def connect(request, tmp_path):
    """Makes connections to one database in which both tables are."""
    is_postgres = "psycopg" in request.param
    database = request.getfixturevalue("postgres").new_database() if is_postgres else tmp_path / "service.db"
    plain = psycopg_connection if is_postgres else sqlite_connection
    with closing(plain(database)) as connection:
        connection.execute(TABLE.create)
        connection.execute(TABLE.create)
        connection.execute(EFFECTS)
        connection.commit()
    makers = {"psycopg2": psycopg2_connection}
    make = sqlalchemy_connection if request.param.startswith("sqlalchemy") else makers.get(request.param, plain)
    opened = []

    def made():
        opened.append(make(database))
        return opened[-1]

    yield made
    for connection in opened:
        connection.close()


def run(connection, text):
    """Execute a statement; the rows that it gives."""
    if hasattr(connection, "exec_driver_sql"):
        cursor = connection.exec_driver_sql(text)
    else:
        cursor = connection.cursor()
        cursor.execute(text)
    return [tuple(row) for row in cursor.fetchall()] if text.startswith("SELECT") else []


def loaded(connection, part="", table=TABLE):
    held = table.load(connection, part)
    connection.commit()
    return held


def test_a_new_subscriber_has_no_token(connect):
    """So that it begins where it is configured to."""
    assert loaded(connect()) == HeldPosition("", 1, None)


def test_effect_and_position_are_committed_together(connect):
    """The next owner finds both."""
    connection = connect()
    held = loaded(connection)
    for number in range(3):
        run(connection, f"INSERT INTO effects VALUES ({number})")
        held = TABLE.store(connection, held, f"token {number}")
        connection.commit()
    other = connect()
    assert loaded(other) == HeldPosition("", 2, "token 2")
    assert run(other, "SELECT number FROM effects ORDER BY number") == [(0,), (1,), (2,)]


def test_effect_and_position_are_rolled_back_together(connect):
    """What was held before counts again, and can be stored from."""
    connection = connect()
    held = TABLE.store(connection, loaded(connection), "one")
    connection.commit()
    run(connection, "INSERT INTO effects VALUES (1)")
    TABLE.store(connection, held, "two")
    connection.rollback()
    assert run(connection, "SELECT number FROM effects") == []
    connection.rollback()
    assert TABLE.store(connection, held, "three").token == "three"
    connection.commit()
    assert loaded(connect()).token == "three"


def test_the_older_of_two_writers_is_refused(connect):
    """It can neither store nor keep its effect, and the error says who has taken over; the newer one goes on."""
    older, newer = connect(), connect()
    old = TABLE.store(older, loaded(older), "one")
    older.commit()
    new = loaded(newer)
    assert new == HeldPosition("", 2, "one")
    run(older, "INSERT INTO effects VALUES (1)")
    with pytest.raises(PositionTakenError, match="owner 2 has taken it over, this process is owner 1") as refused:
        TABLE.store(older, old, "two")
    older.rollback()
    assert refused.value.owner == new.owner
    TABLE.store(newer, new, "two")
    newer.commit()
    assert run(older, "SELECT number FROM effects") == []


def test_a_transaction_in_which_the_older_one_stores_is_waited_for(connect):
    """The next owner begins behind it, and never beside it."""
    older = connect()
    old = loaded(older)
    TABLE.store(older, old, "one")
    found = []

    def take_over():
        found.append(loaded(connect()))

    thread = threading.Thread(target=take_over)
    thread.start()
    thread.join(0.3)
    assert thread.is_alive()
    older.commit()
    thread.join(LIMIT_S)
    assert found == [HeldPosition("", 2, "one")]


def test_a_token_is_stored_after_the_one_before_it(connect):
    """An owner that has lost count of its own positions is refused as well."""
    connection = connect()
    first = loaded(connection)
    TABLE.store(connection, first, "one")
    connection.commit()
    with pytest.raises(PositionTakenError, match="another token"):
        TABLE.store(connection, first, "two")
    connection.rollback()


def test_members_of_a_group_have_a_part_each(connect):
    """One takes a partition over, and the other partitions stay whose they are."""
    one, other = connect(), connect()
    held = {part: loaded(one, part) for part in ("0", "1")}
    for part in ("0", "1"):
        held[part] = TABLE.store(one, held[part], f"token {part}")
    one.commit()
    assert loaded(other, "1") == HeldPosition("1", 2, "token 1")
    TABLE.store(one, held["0"], "more")
    one.commit()
    with pytest.raises(PositionTakenError, match="part '1'"):
        TABLE.store(one, held["1"], "more")
    one.rollback()


def test_subscribers_share_a_table(connect):
    """Each has its own position."""
    connection = connect()
    TABLE.store(connection, loaded(connection), "one")
    connection.commit()
    assert loaded(connection, table=PositionTable("reports")).token is None


def test_a_row_that_is_gone_is_not_stored_into(connect):
    """Whoever removed it had a reason."""
    connection = connect()
    held = loaded(connection)
    run(connection, "DELETE FROM consolidator_position")
    with pytest.raises(PositionTakenError, match="its row is gone"):
        TABLE.store(connection, held, "one")
    connection.rollback()


def test_a_connection_that_commits_by_itself_is_refused():
    """The effect would not be in the position's transaction."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.execute(TABLE.create)
        held = TABLE.load(connection)
        with pytest.raises(SubscriberError, match="begin a transaction first"):
            TABLE.store(connection, held, "one")
        connection.execute("BEGIN")
        connection.execute("UPDATE consolidator_position SET token = ''")
        TABLE.store(connection, held, "one")
        connection.commit()


@pytest.mark.postgres
def test_so_is_one_of_postgresql(postgres):
    """Psycopg says whether a transaction is open."""
    with psycopg.connect(postgres.new_database(), autocommit=True) as connection:
        connection.execute(TABLE.create)
        held = TABLE.load(connection)
        with connection.transaction():
            held = TABLE.store(connection, held, "one")
        with pytest.raises(SubscriberError, match="begin a transaction first"):
            TABLE.store(connection, held, "two")


@asynccontextmanager
async def sqlalchemy_async_connection(database):
    engine = create_async_engine(f"sqlite+aiosqlite:///{database}", poolclass=sqlalchemy.NullPool)
    async with engine.connect() as connection:
        yield connection
    await engine.dispose()


@asynccontextmanager
async def psycopg_async_connection(database):
    async with await psycopg.AsyncConnection.connect(database) as connection:
        yield connection


@pytest.mark.parametrize(
    "connect_async",
    [
        aiosqlite.connect,
        sqlalchemy_async_connection,
        pytest.param(psycopg_async_connection, marks=pytest.mark.postgres),
    ],
    ids=["aiosqlite", "sqlalchemy over aiosqlite", "psycopg"],
)
def test_an_asynchronous_connection_stores_as_well(connect_async, request, tmp_path):
    """With the same fence."""
    is_postgres = connect_async is psycopg_async_connection
    database = request.getfixturevalue("postgres").new_database() if is_postgres else tmp_path / "service.db"

    async def stored():
        async with connect_async(database) as connection:
            execute = getattr(connection, "exec_driver_sql", None) or connection.execute
            await execute(TABLE.create)
            held = await TABLE.load_async(connection)
            held = await TABLE.store_async(connection, held, "one")
            await connection.commit()
            taken = await TABLE.load_async(connection)
            await connection.commit()
            with pytest.raises(PositionTakenError):
                await TABLE.store_async(connection, held, "two")
            await connection.rollback()
            return taken

    assert asyncio.run(stored()) == HeldPosition("", 2, "one")


def test_a_subclass_of_a_drivers_connection_is_known():
    """Its own module has no style, its base's has."""

    class Connection(sqlite3.Connection):
        pass

    with closing(sqlite3.connect(":memory:", factory=Connection)) as connection:
        connection.execute(TABLE.create)
        assert TABLE.load(connection).owner == 1


def test_an_unknown_connection_needs_its_style():
    """It is asked for by name; with it, anything that has DB-API's methods will do."""

    class Wrapped:
        def __init__(self):
            self._connection = sqlite3.connect(":memory:")
            self.cursor = self._connection.cursor
            self.close = self._connection.close

    with closing(Wrapped()) as connection:
        connection.cursor().execute(TABLE.create)
        with pytest.raises(ValueError, match="paramstyle='qmark' or"):
            TABLE.load(connection)
        assert PositionTable("underwriting", paramstyle="qmark").load(connection).owner == 1


def test_a_driver_may_number_its_parameters():
    """What is executed has numbers. SQLite takes them as names, so this driver gives the values by name."""
    executed = []

    class Numbering(sqlite3.Cursor):
        def execute(self, text, parameters=()):
            executed.append(text)
            values = {f"p{number}": value for number, value in enumerate(parameters, start=1)}
            return super().execute(re.sub(r":(\d)", r":p\1", text), values)

    class Wrapped:
        def __init__(self):
            self._connection = sqlite3.connect(":memory:")
            self.close = self._connection.close

        def cursor(self):
            return self._connection.cursor(Numbering)

    with closing(Wrapped()) as connection:
        connection.cursor().execute(TABLE.create)
        assert PositionTable("underwriting", paramstyle="numeric").load(connection).owner == 1
    assert any(":1" in text and ":2" in text for text in executed)


@pytest.mark.parametrize("options", [{"table": "positions; DROP TABLE x"}, {"table": 'a"b'}, {"paramstyle": "named"}])
def test_what_cannot_be_meant_is_refused(options):
    """Before any statement is made of it."""
    with pytest.raises(ValueError, match="is no"):
        PositionTable("underwriting", **options)


def test_a_table_in_a_schema():
    """As SQLite's ``main``."""
    table = PositionTable("underwriting", table="main.positions")
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute(table.create)
        assert table.load(connection).owner == 1
