"""The answers to ``/livez`` and ``/readyz``: a status, and a body for people or for programs."""

from typing import Final, NamedTuple

import msgspec

from streams.health.report import Check, Partition, Snapshot, State

__all__ = ["Answer", "is_alive", "is_ready", "livez", "readyz"]

_OK: Final = 200
_UNAVAILABLE: Final = 503

_AT_WORK: Final = frozenset({State.RUNNING, State.IDLE, State.ADOPTING})

TEXT: Final = "text/plain; charset=utf-8"
JSON: Final = "application/json"


class Answer(NamedTuple):
    """An answer of HTTP."""

    status: int
    content_type: str
    body: bytes


def is_alive(snapshot: Snapshot) -> bool:
    """Whether a restart would not help: nothing deadly fails, and no partition is stuck."""
    stuck = any(one.state == State.STUCK for one in snapshot.partitions)
    return not stuck and all(check.ok for check in snapshot.checks if check.deadly)


def is_ready(snapshot: Snapshot) -> bool:
    """Whether it is alive, nothing that is needed fails, and every partition is at work."""
    needed = all(check.ok for check in snapshot.checks if check.needed)
    return is_alive(snapshot) and needed and all(one.state in _AT_WORK for one in snapshot.partitions)


def livez(snapshot: Snapshot, *, as_json: bool = False) -> Answer:
    """The answer to ``/livez``."""
    return _answer(snapshot, as_json=as_json, healthy=is_alive(snapshot))


def readyz(snapshot: Snapshot, *, as_json: bool = False) -> Answer:
    """The answer to ``/readyz``."""
    return _answer(snapshot, as_json=as_json, healthy=is_ready(snapshot))


def _answer(snapshot: Snapshot, *, as_json: bool, healthy: bool) -> Answer:
    status = _OK if healthy else _UNAVAILABLE
    if as_json:
        return Answer(status, JSON, msgspec.json.encode(_members(snapshot, healthy=healthy)) + b"\n")
    lines = ["ok" if healthy else "not ok", *map(_line, snapshot.checks)]
    lines += [partition.line for partition in snapshot.partitions]
    return Answer(status, TEXT, "".join(f"{line}\n" for line in lines).encode())


def _line(check: Check) -> str:
    return f"{check.name}: {'ok' if check.ok else 'NOT OK'}, {check.says}"


def _members(snapshot: Snapshot, *, healthy: bool) -> dict[str, object]:
    return {
        "healthy": healthy,
        "role": snapshot.role,
        "version": snapshot.version,
        "app_id": snapshot.app_id,
        "worker": snapshot.worker,
        "checks": [{"name": one.name, "ok": one.ok, "says": one.says} for one in snapshot.checks],
        "partitions": [_shown(one) for one in snapshot.partitions],
    }


def _shown(partition: Partition) -> Partition:
    """Ages with as many places as anybody reads."""
    return msgspec.structs.replace(
        partition,
        lag_seconds=_rounded(partition.lag_seconds),
        last_progress_seconds=_rounded(partition.last_progress_seconds),
    )


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)
