"""What docs/subscribers.md shows does what the page says, on a real broker with a real worker."""

import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from decimal import Decimal
from types import SimpleNamespace

import pytest

from consolidator.testing import SampleSource, sample_change
from tests.inputs.repository import ROOT
from tests.integration.subscribers.page import PROGRAMS
from tests.integration.waiting.publisher import Publisher
from tests.real_kafka.installation import LIMIT_S
from tests.real_kafka.worker_process import wait_until

pytestmark = pytest.mark.kafka

DIGITS = "12345678901234567.12"


class Program:
    """A program of the page, in a directory of its own.

    Args:
        world: the installation.
        directory: where it runs.
        code: the program.
    """

    def __init__(self, world, directory, code):
        self._log = (directory / "log").open("ab")
        path = os.pathsep.join([str(ROOT / "clients" / "python"), str(directory)])
        self.process = subprocess.Popen(
            [sys.executable, "-u", "-W", "error", "-c", code],
            cwd=directory,
            env=os.environ | world.variables | {"PYTHONPATH": path},
            stdout=self._log,
            stderr=self._log,
        )
        self._directory = directory

    @property
    def said(self):
        return (self._directory / "log").read_text(encoding="utf-8")

    def kill(self):
        self.process.kill()
        self.process.wait(LIMIT_S)
        self._log.close()


@pytest.fixture
def start(world, tmp_path):
    """Starts programs of the page; they are killed at the end."""
    started = []

    def begin(code):
        started.append(Program(world, tmp_path, code))
        return started[-1]

    yield begin
    for program in started:
        program.kill()


def test_every_program_compiles():
    """Those that need a framework, too; the names are those that the tests know."""
    for name, code in PROGRAMS.items():
        compile(code, name, "exec")
    assert {*PROGRAMS} == {
        "view.py",
        "pricing.py",
        "price.py",
        "test_pricing.py",
        "member.py",
        "after.py",
        "factors_view.py",
        "fastapi_service.py",
        "flask_service.py",
        "django_apps.py",
    }


def test_the_view_in_15_lines_is_complete_at_the_snapshots_end(start, world):
    """It has both pairs: a cleared one is a pair without factors."""
    code = PROGRAMS["view.py"].replace("localhost:9092", str(world.config["bootstrap.servers"]))
    program = start(code)
    wait_until(
        lambda: "2 sets of factors" in program.said, "the snapshot", limit_s=LIMIT_S, details=lambda: program.said
    )


def rows(directory):
    """What the service shows in its table, by application."""
    file = directory / "pricing.db"
    if not file.exists():
        return {}
    with closing(sqlite3.connect(file, timeout=LIMIT_S)) as database:
        tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master")}
        if not {"latest", "generations"} <= tables:
            return {}
        columns = {column[1] for column in database.execute("PRAGMA table_info(latest)")}
        key = "generation = shown AND latest.part = generations.part" if "part" in columns else "generation = shown"
        found = database.execute(f"SELECT application_id, outcome, factors FROM latest JOIN generations ON {key}")
        return {application: (outcome, factors) for application, outcome, factors in found}


def test_the_pricing_service_keeps_its_table_right(start, world, tmp_path):
    """Through a kill: what came meanwhile is there once it runs again, with every digit; the older of two ends."""
    first = start(PROGRAMS["pricing.py"])
    wait_until(
        lambda: rows(tmp_path).get("cleared") == ("cleared", "{}") and "set" in rows(tmp_path),
        "the snapshot in the table",
        limit_s=LIMIT_S,
        details=lambda: f"{rows(tmp_path)}\n{first.said}",
    )
    first.kill()
    publisher = Publisher(world)
    number = f'{{"f_revenue_monthly": {DIGITS}}}'
    value = publisher.value(3, "exact", output={"factors": "PLACE"}).replace(b'"PLACE"', number.encode())
    publisher.record(b"exact/ev-3", value, publisher.home("exact"))
    publisher.event(4, "cleared", execution_id="e-9")
    second = start(PROGRAMS["pricing.py"])
    wait_until(
        lambda: DIGITS in rows(tmp_path).get("exact", ("", ""))[1] and rows(tmp_path)["cleared"][0] == "partial",
        "what was published meanwhile",
        limit_s=LIMIT_S,
        details=lambda: f"{rows(tmp_path)}\n{second.said}",
    )
    third = start(PROGRAMS["pricing.py"])
    wait_until(lambda: owner(tmp_path) == 3, "the third one to own the position", limit_s=LIMIT_S)
    publisher.event(5, "later")
    wait_until(lambda: second.process.poll() is not None, "the older one to end", limit_s=LIMIT_S)
    assert "owner 3 has taken it over, this process is owner 2" in second.said
    wait_until(lambda: "later" in rows(tmp_path), "the newer one to go on", limit_s=LIMIT_S)
    assert third.process.poll() is None


def owner(directory):
    """The number of the position's owner."""
    with closing(sqlite3.connect(directory / "pricing.db", timeout=LIMIT_S)) as database:
        return database.execute("SELECT owner FROM consolidator_position").fetchone()[0]


@pytest.fixture
def pricing():
    """The functions of the pricing service, and its tables in a database without a position."""
    names = {}
    exec(compile(PROGRAMS["pricing.py"].partition("\ndatabase = ")[0], "pricing.py", "exec"), names)
    exec(compile(PROGRAMS["price.py"], "price.py", "exec"), names)
    with closing(sqlite3.connect(":memory:")) as database:
        for statement in names["SCHEMA"]:
            database.execute(statement)
        yield SimpleNamespace(database=database, **names)


def test_what_is_shown_never_goes_back(pricing):
    """A snapshot has older values and erased applications first; readers see the one before it until its end."""
    source = SampleSource()
    first = sample_change("stays", "p", factors={"f": Decimal(DIGITS)})
    source.publish(first)
    source.publish(sample_change("stays", "p", before=first, factors={"f": 2}))
    source.publish(sample_change("goes", "p"))
    subscription = source.subscribe()
    with pytest.raises(LookupError):
        pricing.factors_of(pricing.database, "stays", "p")
    for item in subscription.pending():
        pricing.apply(pricing.database, item)
    source.erase("goes")
    for item in subscription.pending():
        pricing.apply(pricing.database, item)
    subscription.refetch()
    for item in subscription.pending():
        pricing.apply(pricing.database, item)
        assert pricing.factors_of(pricing.database, "stays", "p") == ("consolidated", {"f": 2})
        assert pricing.factors_of(pricing.database, "goes", "p") == (None, None)
    assert pricing.database.execute("SELECT COUNT(*) FROM latest").fetchone() == (1,)


def test_a_new_snapshot_removes_what_it_does_not_show_and_keeps_every_digit(pricing):
    """The application was erased, and the tombstones are gone as well."""
    for applications in (("stays", "goes"), ("stays",)):
        source = SampleSource()
        for application in applications:
            source.publish(sample_change(application, "p", factors={"f": Decimal(DIGITS)}))
        pricing.begin_anew(pricing.database)
        for item in source.subscribe().pending():
            pricing.apply(pricing.database, item)
    assert pricing.factors_of(pricing.database, "stays", "p") == ("consolidated", {"f": Decimal(DIGITS)})
    assert pricing.factors_of(pricing.database, "goes", "p") == (None, None)


def test_readers_notice_that_nobody_keeps_the_table_up_to_date(pricing):
    """The last sign of the service is older than a minute."""
    source = SampleSource()
    source.publish(sample_change("a", "p"))
    for item in source.subscribe().pending():
        pricing.apply(pricing.database, item)
    pricing.database.execute("UPDATE generations SET seen = datetime('now', '-2 minutes')")
    with pytest.raises(LookupError, match="nobody keeps it up to date"):
        pricing.factors_of(pricing.database, "a", "p")


def test_a_member_keeps_each_partitions_position(start, world, tmp_path):
    """Every partition is a part with a token of its own; what came during a kill is there after it."""
    code = PROGRAMS["member.py"].replace("consolidator-subscriber-pricing", f"{world.name}-subscriber-pricing")
    first = start(code)
    wait_until(
        lambda: {"cleared", "set"} <= rows(tmp_path).keys(),
        "the snapshots of all partitions in the table",
        limit_s=LIMIT_S,
        details=lambda: f"{rows(tmp_path)}\n{first.said}",
    )
    first.kill()
    Publisher(world).event(9, "while dead")
    second = start(code)
    wait_until(
        lambda: "while dead" in rows(tmp_path),
        "the change in the table",
        limit_s=LIMIT_S,
        details=lambda: f"{rows(tmp_path)}\n{second.said}",
    )
    with closing(sqlite3.connect(tmp_path / "pricing.db", timeout=LIMIT_S)) as database:
        parts = database.execute("SELECT part FROM consolidator_position WHERE token <> '' ORDER BY part").fetchall()
    assert parts == [("0",), ("1",), ("2",), ("3",)]


def test_a_result_is_waited_for(world, monkeypatch):
    """As the page shows it."""
    for name, value in world.variables.items():
        monkeypatch.setenv(name, value)
    partition, offset = Publisher(world).event(7, "waited")
    names = {"partition": partition, "offset": offset}
    exec(compile(PROGRAMS["after.py"], "after.py", "exec"), names)
    assert names["result"].kind == "applied"


def test_the_view_of_a_web_service_is_kept_by_its_thread(world, tmp_path, monkeypatch):
    """Ready once the snapshot is there; a later change is in it; it stops when it is asked to."""
    for name, value in world.variables.items():
        monkeypatch.setenv(name, value)
    names = {}
    exec(compile(PROGRAMS["factors_view.py"], "factors_view.py", "exec"), names)
    view = names["FactorsView"]()
    with pytest.raises(LookupError):
        view.of("set")
    view.start()
    wait_until(lambda: view.shown is not None or view.failure, "the snapshot", limit_s=LIMIT_S)
    assert view.failure is None
    assert view.of("set")["bank_statement"]["f_revenue_monthly_avg"] == 10_001
    Publisher(world).event(8, "web")
    wait_until(lambda: view.of("web"), "the change", limit_s=LIMIT_S)
    began = time.monotonic()
    view.stop()
    assert time.monotonic() - began < LIMIT_S
