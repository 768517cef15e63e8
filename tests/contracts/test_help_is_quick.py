"""``consolidator --help`` comes at once: it imports nothing but what it needs."""

import resource
import subprocess
import sys
from statistics import median

PROGRAM = [sys.executable, "-c", "from streams.cli.__main__ import main; main()", "--help"]
RUNS = 5
LIMIT_S = 60
MOST_CPU_S = 0.35
"""Three times what it takes on two busy cores, for slower machines. The imports are held by the test below."""

HEAVY = (
    "rich",
    "pydantic",
    "confluent_kafka",
    "faust",
    "aiokafka",
    "rocksdict",
    "structlog",
    "msgspec",
    "importlib.metadata",
)


def cpu_of_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def test_help_takes_little_cpu():
    """The median of five runs, of CPU and not of time: how busy the machine is does not matter."""
    taken = []
    for _ in range(RUNS):
        before = cpu_of_children()
        subprocess.run(PROGRAM, check=True, capture_output=True, timeout=LIMIT_S)
        taken.append(cpu_of_children() - before)
    assert median(taken) <= MOST_CPU_S


def test_help_imports_nothing_that_takes_long():
    """What draws, reads settings or speaks to Kafka is imported by the command that needs it."""
    code = (
        "import sys\nfrom streams.cli.__main__ import main\ntry: main()\nfinally: print(*sys.modules, file=sys.stderr)"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code, "--help"], check=True, capture_output=True, text=True, timeout=LIMIT_S
    )
    assert "Turn execution lifecycle events" in shown.stdout
    assert set(HEAVY) & set(shown.stderr.split()) == set()
