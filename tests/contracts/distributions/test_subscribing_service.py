"""A service with ``models`` of its own subscribes in 15 lines, with the client's wheel and what that brings."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.contracts.distributions.test_client_distribution import CLIENT, Environment, build
from tests.inputs.repository import ROOT
from tests.integration.waiting.publisher import Publisher, waiter_of
from tests.real_kafka.installed import installed

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

LIMIT_S = 120
MODELS = """\
class Quote:
    def __init__(self, revenue):
        self.revenue = revenue
"""
SERVICE = """\
from consolidator import Changed, Current, Erased, SnapshotEnd, subscribe
from models import Quote

quotes = {}
for item in subscribe(until="caught-up"):
    match item:
        case Current(now) | Changed(now):
            quotes[now.application_id] = Quote(now.values().get("f_revenue_monthly_avg"))
        case Erased(application_id):
            quotes.pop(application_id, None)
        case SnapshotEnd():
            print("complete")
for application_id, quote in sorted(quotes.items()):
    print(application_id, quote.revenue)
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory) -> Path:
    """An environment with the client alone."""
    environment = Environment(tmp_path_factory.mktemp("environment") / "venv")
    environment.pip("install", build(ROOT / "clients" / "python", tmp_path_factory.mktemp(CLIENT)))
    return environment.python


def test_a_service_subscribes_in_15_lines(kafka, python, tmp_path):
    """Its ``models`` package is its own, and nothing of the worker is there."""
    assert len(SERVICE.splitlines()) <= 15
    service = tmp_path / "service"
    (service / "models").mkdir(parents=True)
    (service / "models" / "__init__.py").write_text(MODELS)
    (service / "service.py").write_text(SERVICE)
    with installed(kafka, tmp_path / "installation") as installation:
        installation.start().wait_ready(installation.partitions)
        publisher = Publisher(installation)
        publisher.event(1, "app-1")
        publisher.event(1, "app-2")
        last = publisher.event(1, "app-2", status="failed", output=None, attempt=2, event_id="failed")
        with waiter_of(installation) as waiter:
            assert waiter.wait_for(last).kind == "applied"
        done = subprocess.run(
            [python, "-W", "error", service / "service.py"],
            env={"PATH": os.environ["PATH"], **installation.variables},
            check=False,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
        )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split("\n") == ["complete", "app-1 10001", "app-2 None", ""]
