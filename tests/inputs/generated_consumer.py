"""A consumer that ``asyncapi-python`` generates from the subscriber's AsyncAPI document: an independent reader.

Nothing of this project is in it: its models come from the document by way of ``datamodel-code-generator``, and it reads
with Python's own JSON reader, which makes floats. So values are compared as floats.
"""

import asyncio
import importlib
import json
import subprocess
import sys
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import Any

from asyncapi_python.kernel.wire import AbstractWireFactory

from tests.inputs.repository import ROOT

DOCUMENT = ROOT / "topics" / "schemas" / "asyncapi" / "subscriber.json"
GENERATOR = Path(sys.executable).parent / "asyncapi-python-codegen"
LIMIT_S = 120.0
READING_LIMIT_S = 60.0

Records = Sequence[tuple[str, bytes | None]]
"""Topic and value of records; None: a tombstone."""


def generate(folder: Path, name: str) -> ModuleType:
    """Generate the consumer as a package, and import it; the folder has to be on ``sys.path``."""
    command = [str(GENERATOR), str(DOCUMENT), str(folder / name)]
    subprocess.run(command, check=True, capture_output=True, timeout=LIMIT_S, cwd=folder)
    importlib.invalidate_caches()
    importlib.import_module(f"{name}.messages.json")
    return importlib.import_module(f"{name}.application")


def read(module: ModuleType, records: Records) -> list[Any]:
    """What the consumer's handlers get, in the order of each topic: models of changes, factors and tombstones.

    Raises:
        ValueError: the consumer refused a record.
        TimeoutError: it did not read all of them in time.
    """
    return asyncio.run(_read(module, records))


@dataclass
class _Message:
    """One record, as the consumer's endpoints ask for it."""

    payload: bytes

    async def ack(self) -> None:
        """Nothing is to be done."""

    nack = reject = ack


@dataclass
class _Records:
    """The records of one topic."""

    values: list[bytes]

    async def start(self) -> None:
        """Nothing is to be done."""

    stop = start

    async def recv(self) -> AsyncGenerator[_Message, None]:
        """Each record once; then there are no more."""
        for value in self.values:
            yield _Message(value)


class _Wire(AbstractWireFactory[Any, Any]):
    """Records at hand in place of a broker: the generator has none for Kafka."""

    def __init__(self, records: Records) -> None:
        self._records = records

    async def create_consumer(self, **about: Any) -> Any:
        """The records of the channel's topic."""
        topic = about["channel"].address
        # Its codecs read JSON and nothing else, so a tombstone is handed over as null.
        return _Records([b"null" if value is None else value for name, value in self._records if name == topic])

    async def create_producer(self, **_: Any) -> Any:
        """A subscriber has none."""
        raise NotImplementedError


async def _read(module: ModuleType, records: Records) -> list[Any]:
    found: list[Any] = []
    ended = asyncio.Event()
    refusals: list[Exception] = []

    async def take(message: Any) -> None:
        found.append(message)
        if len(found) == len(records):
            ended.set()

    def refuse(error: Exception) -> None:
        refusals.append(error)
        ended.set()

    application = module.Application(_Wire(records))
    endpoints = (application.consumer.receive_factor_change, application.consumer.receive_factors)
    for endpoint in endpoints:
        endpoint(take)
        await endpoint.start(exception_callback=refuse)
    try:
        await asyncio.wait_for(ended.wait(), READING_LIMIT_S)
    finally:
        for endpoint in endpoints:
            await endpoint.stop()
    if refusals:
        raise ValueError(str(refusals[0])) from refusals[0]
    return found


def is_what_was_read(model: Any, value: bytes | None) -> bool:
    """Whether a generated model has every member of a record's value, and no other."""
    if value is None:
        return model.model_dump() is None
    read_back = model.model_dump(mode="json", by_alias=True, exclude_unset=True)
    return _same(read_back, json.loads(value))


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(
            _moment(one[name]) == _moment(other[name]) if name == "occurred_at" else _same(one[name], other[name])
            for name in one
        )
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return isinstance(one, bool) == isinstance(other, bool) and one == other


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
