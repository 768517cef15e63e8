"""Altered and forged evidence: changed bytes, lines, members and whole files, and entries that are no files."""

import json
import os
import random
import socket
from base64 import b64decode, b64encode
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

__all__ = ["FILES", "SUMS", "mutate", "reseal"]

SUMS: Final = "SHA256SUMS"
FILES: Final = (
    "catalogue.json",
    "executions.jsonl",
    "factor-changes.jsonl",
    "factors.jsonl",
    "manifest.json",
    "rulesets.json",
)
HUGE_BYTES: Final = 3 * 1024**3
"""A hole on the disk; longer than any file of evidence may be."""

DEEP: Final = 3_000

JUNK: Final[tuple[Any, ...]] = (
    None,
    True,
    False,
    0,
    -1,
    2**31,
    2**63,
    2**64,
    -(2**70),
    1.5,
    float("inf"),
    "",
    " ",
    "x",
    "\0",
    "\ud800",
    "0" * 64,
    "9" * 5_000,
    [],
    [None],
    {},
    {"": {}},
    "AAAA",
    "====",
)


def reseal(directory: Path) -> None:
    """Write sums that fit the altered files again, as a forger would."""
    with suppress(OSError):
        lines = [f"{sha256((directory / name).read_bytes()).hexdigest()}  {name}\n" for name in FILES]
        (directory / SUMS).write_text("".join(lines))


def mutate(directory: Path, rng: random.Random) -> str:
    """Alter evidence in one way; return a description."""
    kind = rng.choice(_KINDS)
    try:
        kind(directory, rng)
    except (ValueError, LookupError, TypeError, RecursionError):
        # An earlier mutation may have left a file without JSON, or without lines.
        kind = _bytes
        kind(directory, rng)
    return kind.__name__.strip("_")


def _bytes(directory: Path, rng: random.Random) -> None:
    path = directory / rng.choice((*FILES, SUMS))
    content = bytearray(path.read_bytes())
    for _ in range(rng.choice((1, 1, 3))):
        place = rng.randrange(len(content) + 1)
        match rng.randrange(4):
            case 0:
                content[place:place] = rng.randbytes(rng.choice((1, 7)))
            case 1:
                del content[place : place + rng.choice((1, 9))]
            case 2 if place < len(content):
                content[place] ^= 1 << rng.randrange(8)
            case _:
                del content[place:]
    path.write_bytes(content)


def _lines(directory: Path, rng: random.Random) -> None:
    path = directory / rng.choice((*FILES, SUMS))
    lines = path.read_bytes().splitlines(keepends=True)
    if not lines:
        path.write_bytes(b"\n")
        return
    place = rng.randrange(len(lines))
    match rng.randrange(4):
        case 0:
            lines.insert(rng.randrange(len(lines) + 1), lines[place])
        case 1:
            del lines[place]
        case 2:
            rng.shuffle(lines)
        case _:
            lines.insert(place, b"[" * DEEP + b"\n")
    path.write_bytes(b"".join(lines))


def _members(directory: Path, rng: random.Random) -> None:
    """A member of a JSON object, or of a record's value."""
    name = rng.choice(FILES)
    path = directory / name
    if not name.endswith(".jsonl"):
        path.write_text(_json(_altered(json.loads(path.read_text()), rng)))
        return
    lines = path.read_text().splitlines()
    place = rng.randrange(len(lines))
    record = json.loads(lines[place])
    value = None if record["value"] is None else b64decode(record["value"])
    if value is not None and rng.random() < 0.6:
        record["value"] = b64encode(_json(_altered(json.loads(value), rng)).encode()).decode()
    else:
        record = _altered(record, rng)
    lines[place] = _json(record)
    path.write_text("\n".join(lines) + "\n")


def _altered(root: Any, rng: random.Random) -> Any:
    holders = [holder for holder in _containers(root) if holder]
    if not holders or rng.random() < 0.05:
        return rng.choice(JUNK)
    holder = rng.choice(holders)
    key = rng.choice(list(holder)) if isinstance(holder, dict) else rng.randrange(len(holder))
    match rng.randrange(5):
        case 0:
            del holder[key]
        case 1 if isinstance(holder, dict):
            holder["more"] = rng.choice(JUNK)
        case 2 if isinstance(holder[key], int) and not isinstance(holder[key], bool):
            holder[key] += rng.choice((-1, 1, 1_000_000))
        case _:
            holder[key] = rng.choice(JUNK)
    return root


def _containers(value: Any) -> list[Any]:
    if not isinstance(value, dict | list):
        return []
    return [
        value,
        *(found for item in (value.values() if isinstance(value, dict) else value) for found in _containers(item)),
    ]


def _json(value: Any) -> str:
    return json.dumps(value)


def _adoptions(directory: Path, rng: random.Random) -> None:
    """Rulesets and adoptions that nobody has adopted."""
    catalogue = (directory / "catalogue.json").read_text()
    digest = json.loads((directory / "manifest.json").read_text())["ruleset"]["digest"]
    partition = rng.choice((0, 1, 2, 3, -1, 10**9))
    adoptions = [
        {
            "partition": partition,
            "offset": rng.choice((0, 3, 2**63)),
            "before": digest,
            "after": rng.choice((digest, "0" * 64)),
        }
        for _ in range(rng.choice((1, 2, 2_000)))
    ]
    catalogues = rng.choice(({}, {digest: catalogue}, {digest: "junk"}, {"0" * 64: catalogue}, {"x": "{}"}))
    (directory / "rulesets.json").write_text(_json({"catalogues": catalogues, "adoptions": adoptions}))


def _files(directory: Path, rng: random.Random) -> None:
    path = directory / rng.choice((*FILES, SUMS))
    match rng.randrange(6):
        case 0:
            path.unlink()
        case 1:
            path.rename(directory / f"{path.name}.old")
        case 2:
            (directory / rng.choice(("notes.txt", ".hidden", "\udcff", "a\nb"))).write_bytes(b"")
        case 3:
            path.write_bytes((directory / rng.choice(FILES)).read_bytes() + b" ")
        case 4:
            os.truncate(path, HUGE_BYTES)
        case _:
            path.write_bytes(
                rng.choice((b"", b"\0" * 100, b"null\n", b"[" * 100_000, b'"' + b"x" * 10**6, b"\xff\xfe{\0"))
            )


def _no_files(directory: Path, rng: random.Random) -> None:
    path = directory / rng.choice((*FILES, SUMS, "notes.txt"))
    path.unlink(missing_ok=True)
    match rng.randrange(5):
        case 0:
            os.mkfifo(path)
        case 1:
            path.symlink_to(
                rng.choice(("/dev/zero", "/dev/stdin", "/etc/passwd", path.name, "nowhere", "manifest.json"))
            )
        case 2:
            path.mkdir()
        case 3:
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind(os.path.relpath(path))
        case _:
            path.symlink_to(directory)


_KINDS: Final[tuple[Callable[[Path, random.Random], None], ...]] = (
    _bytes,
    _bytes,
    _lines,
    _members,
    _members,
    _members,
    _adoptions,
    _files,
    _no_files,
)
