"""Judges what is on this machine and in the settings: state directory, catalogue, database, versions."""

import errno
from collections.abc import Iterator
from typing import Final

from models.catalogue import Catalogue
from streams.diagnosis.facts import Facts
from streams.diagnosis.finding import Check, Finding, Severity
from streams.diagnosis.reading.answer import Unanswered, known
from streams.diagnosis.reading.health import Health
from streams.diagnosis.reading.machine import StateDirectory
from streams.diagnosis.reading.rulesets import LiveRulesets

__all__ = ["catalogue", "database", "installed", "state_directory"]

_MIB: Final = 1024 * 1024
_FULL_BYTES: Final = 64 * _MIB
"""RocksDB writes files of this size."""

_LITTLE_BYTES: Final = 256 * _MIB
"""Room for some files, and for a compaction of small state."""

_DENIED: Final = frozenset({errno.EACCES, errno.EPERM})


def state_directory(facts: Facts) -> Check:
    """Whether a worker could write its state here, and how much room there is."""
    name = "state directory"
    found = facts.directory
    if isinstance(found, Unanswered):
        return Check(name, not_asked=(found.reason,))
    if not found.exists:
        note = Finding(
            Severity.NOTE,
            f"there is no {found.path} on this machine",
            "no worker with these settings has run here",
            "nothing, or run this on a worker's machine, with its settings, for what is to be said of its disk",
        )
        return Check(name, findings=(note,))
    findings = [*_unwritable(found), *_room(found)]
    says = f"{found.path}: {_size(found.free_bytes)} free, workers' state takes {_size(found.used_bytes)}"
    return Check(name, "" if findings else says, tuple(findings))


def _unwritable(found: StateDirectory) -> Iterator[Finding]:
    if found.error is None:
        return
    is_denied = found.error_number in _DENIED
    yield Finding(
        Severity.WARNING if is_denied else Severity.CRITICAL,
        f"{found.path} cannot be written: {found.error}",
        "a worker of this user does not start; one of another user may"
        if is_denied
        else "workers here end, or do not start",
        "run it as the user of the workers, or set CONSOLIDATOR_STATE_DIR to a directory of this user's"
        if is_denied
        else "make room, mend the disk, or set CONSOLIDATOR_STATE_DIR: state is rebuilt from Kafka",
    )


def _room(found: StateDirectory) -> Iterator[Finding]:
    # Where nobody can write, room is not what is missing, or it was said.
    if found.error is not None and found.error_number not in _DENIED:
        return
    wanted = max(_LITTLE_BYTES, found.used_bytes // 2)
    if found.free_bytes < wanted:
        yield Finding(
            Severity.CRITICAL if found.free_bytes < _FULL_BYTES else Severity.WARNING,
            f"{_size(found.free_bytes)} are free on the disk of {found.path}, of {_size(found.total_bytes)}",
            f"RocksDB needs room to merge its files ({_size(wanted)} here); a worker without it ends with exit code 3",
            "make room, or set CONSOLIDATOR_STATE_DIR to another disk: state is rebuilt from Kafka",
        )


def _size(size: int) -> str:
    return f"{size / _MIB:,.0f} MiB" if size < 10 * 1024 * _MIB else f"{size / _MIB / 1024:,.0f} GiB"


def catalogue(facts: Facts) -> Check:
    """Whether a worker with these settings would go on with the partitions' ruleset."""
    live = known(facts.status.rulesets)
    rulesets = facts.status.rulesets
    # Where Kafka is away, or the topic is missing, another check says so.
    is_said = isinstance(facts.kafka, Unanswered) or (isinstance(rulesets, Unanswered) and rulesets.is_absent)
    not_asked = (rulesets.reason,) if isinstance(rulesets, Unanswered) and not is_said else ()
    if isinstance(facts.catalogue, Unanswered):
        wrong = Finding(
            Severity.CRITICAL,
            f"the catalogue of CONSOLIDATOR_CATALOGUE cannot be used: {facts.catalogue.reason}",
            "workers with these settings do not start",
            "consolidator catalogue check FILE names every problem with its place",
        )
        return Check("catalogue", findings=(wrong,), not_asked=not_asked)
    findings = () if live is None else tuple(_compared(facts, facts.catalogue, live))
    return Check("catalogue", "" if findings else facts.catalogue.ruleset.name, findings, not_asked)


def _compared(facts: Facts, own: Catalogue, live: LiveRulesets) -> Iterator[Finding]:
    if len(live.digests) > 1:
        yield Finding(
            Severity.NOTE,
            f"partitions have {len(live.digests)} rulesets: {', '.join(sorted(map(live.text, live.digests)))}",
            "another ruleset is being adopted, one partition after the other",
            "nothing; consolidator status --watch shows it",
        )
    if not live.digests or own.digest in live.digests:
        return
    running = ", ".join(sorted(map(live.text, live.digests)))
    if own.ruleset.name in {live.names.get(digest) for digest in live.digests}:
        yield Finding(
            Severity.CRITICAL if facts.catalogue_is_set else Severity.NOTE,
            f"the catalogue here calls itself {own.ruleset.name}, and so does another one that the partitions have",
            "workers refuse it: one name and version stands for one content",
            "give it another version, or set CONSOLIDATOR_CATALOGUE to the file that the workers have",
        )
    elif not facts.catalogue_is_set:
        yield Finding(
            Severity.NOTE,
            f"CONSOLIDATOR_CATALOGUE is not set here; the partitions have {running}",
            "a worker with these settings would take the built-in sample, and be refused",
            "nothing, unless a worker is to run with these settings",
        )
    elif facts.adopts == own.ruleset.name:
        yield Finding(
            Severity.NOTE,
            f"the partitions have {running}; workers with these settings adopt {own.ruleset.name}",
            "each partition goes over at one record",
            "start a worker with these settings",
        )
    else:
        yield Finding(
            Severity.WARNING,
            f"the catalogue here is {own.ruleset.name}, the partitions have {running}",
            "workers with these settings refuse the partitions",
            f"set CONSOLIDATOR_CATALOGUE to the workers' file; to go over to this one: "
            f"CONSOLIDATOR_ADOPT_RULESET={own.ruleset.name}",
        )


def database(facts: Facts) -> Check | None:
    """How the sink's database stands; None: none is configured."""
    found = facts.status.database
    if found is None:
        return None
    if isinstance(found.status, Unanswered):
        return Check("database", not_asked=(f"{found.name}: {found.status.reason}",))
    findings = tuple(
        Finding(
            Severity.WARNING,
            problem,
            "the database is behind Kafka, or lacks rows",
            "see why: SELECT * FROM sink_quarantine; docs/sql.md"
            if "quarantine" in problem
            else "consolidator sink run, if it does not; then its log",
        )
        for problem in found.status.problems()
    )
    behind = [one.lag_log for one in found.status.partitions if one.lag_log is not None]
    told = f", {sum(behind):,} offsets behind the log" if behind else ""
    return Check("database", f"{found.name}: {len(found.status.partitions)} partitions{told}", findings)


def installed(facts: Facts) -> Check:
    """What is installed here, and whether workers that say their version have another one."""
    here = facts.versions
    says = ", ".join(f"{name} {here[name]}" for name in ("consolidator", "python", "librdkafka") if name in here)
    theirs = {
        answer.version for answer in facts.status.health.values() if isinstance(answer, Health) and answer.version
    } - {here.get("consolidator", "")}
    note = Finding(
        Severity.NOTE,
        f"workers or sinks are of another version: {', '.join(sorted(theirs))}",
        f"this command is {here.get('consolidator')}",
        "nothing during an upgrade: docs/upgrading.md",
    )
    return Check("versions", says, (note,) if theirs else ())
