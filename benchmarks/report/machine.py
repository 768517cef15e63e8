"""On what a figure was measured: processor, memory, versions, and the commit of this tree."""

import os
import platform
import re
import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.load.session import REPOSITORY
from benchmarks.sides.environments import MAVEN_PROJECT, REQUIREMENTS
from streams.broker.jars import KAFKA_VERSION

__all__ = ["machine", "versions"]

_LIMIT_S = 30
_PACKAGES = ("confluent-kafka", "faust-streaming", "aiokafka", "rocksdict", "msgspec")


def machine() -> dict[str, Any]:
    """What kind of machine this is; nothing that names it."""
    memory_kib = _found(r"MemTotal:\s+(\d+)", Path("/proc/meminfo"))
    return {
        "cpu": _found(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo")) or platform.machine(),
        "cores": os.cpu_count(),
        "memory_gib": round(int(memory_kib) / 1024**2) if memory_kib else None,
        "kernel": platform.release().partition("-")[0],
    }


def versions() -> dict[str, str]:
    """What ran, ours and the peers'."""
    found = {
        "consolidator": _output("git", "-C", str(REPOSITORY), "describe", "--always", "--dirty"),
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "Kafka": KAFKA_VERSION,
        **{name: version(name) for name in _PACKAGES},
        "quixstreams": _found(r"quixstreams==(\S+)", REQUIREMENTS),
        "kafka-streams": _found(r"<kafka.version>(.+)</kafka.version>", MAVEN_PROJECT / "pom.xml"),
        "Java": _found_in(r'version "([^"]+)"', _output("java", "-version")),
    }
    return {name: text for name, text in found.items() if text}


def _found(pattern: str, path: Path) -> str:
    return _found_in(pattern, path.read_text(encoding="utf-8")) if path.exists() else ""


def _found_in(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    return match[1] if match else ""


def _output(*command: str) -> str:
    if shutil.which(command[0]) is None:
        return ""
    done = subprocess.run(command, capture_output=True, text=True, timeout=_LIMIT_S, check=False)
    return (done.stdout or done.stderr).strip()
