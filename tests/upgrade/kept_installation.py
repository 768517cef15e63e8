"""An installation of an earlier commit (``make_installation.py``), unpacked, with a broker on its original log."""

import json
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from streams.broker.embedded import start_broker
from tests.inputs.workloads import parse_json
from tests.real_kafka.discarding import discard_broker
from tests.real_kafka.installation import Installation

__all__ = ["KeptInstallation", "kept_installation"]

FOLDER = Path(__file__).parent

KEPT_FOR_EVER = {
    "log.retention.check.interval.ms": str(2**62),
    "log.cleaner.enable": "false",
    "offsets.retention.minutes": str(2**31 - 1),
}
"""The fixture is older with every day: neither dead letters, nor tombstones, nor the group's offsets may be gone."""


class KeptInstallation(Installation):
    """An installation of an earlier commit, with its description.

    Attributes:
        about: ``about.json``.
        files: the directory in which it was unpacked.
    """

    def __init__(self, servers: str, files: Path) -> None:
        self.files = files
        self.about: dict[str, Any] = json.loads((files / "about.json").read_text(encoding="utf-8"))
        settings = dict(self.about["settings"])
        settings["CONSOLIDATOR_CATALOGUE"] = str(files / settings["CONSOLIDATOR_CATALOGUE"])
        settings["CONSOLIDATOR_STATE_DIR"] = str(files / "state")
        super().__init__(servers, files / "runs", CONSOLIDATOR_TOPIC_PREFIX="", **settings)

    def said(self, name: str) -> list[Any]:
        """The output of that commit's own command, from a file of JSON Lines."""
        return [parse_json(line) for line in (self.files / name).read_bytes().splitlines()]


@contextmanager
def kept_installation(commit: str, directory: Path, kafka_cache_dir: Path) -> Iterator[KeptInstallation]:
    """Unpack the installation of a commit, and start a broker of its own on the broker's data in it.

    So the topics' ids, the transactions and the group's offsets are those that the commit left.
    """
    with tarfile.open(FOLDER / f"{commit}.tar.xz") as archive:
        archive.extractall(directory, filter="data")
    data_dir = directory / "state" / "kafka"
    servers = start_broker(data_dir, kafka_cache_dir, properties=KEPT_FOR_EVER).bootstrap_servers
    try:
        found = KeptInstallation(servers, directory)
        try:
            yield found
        finally:
            found.close()
    finally:
        discard_broker(data_dir)
