"""The start-up hooks of docs/subscribers.md, in their frameworks."""

import sys

import django
import pytest
from django.apps import apps
from django.conf import settings
from fastapi.testclient import TestClient

from tests.integration.subscribers.page import PROGRAMS
from tests.real_kafka.installation import LIMIT_S
from tests.real_kafka.worker_process import wait_until

pytestmark = pytest.mark.kafka

EXPECTED = {"bank_statement": {"f_months_analyzed": "1", "f_revenue_monthly_avg": "10001"}}


@pytest.fixture
def service(world, tmp_path, monkeypatch):
    """Makes a service's module of the page, with the environment and the view that it needs."""
    for name, value in world.variables.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "factors_view.py").write_text(PROGRAMS["factors_view.py"])
    monkeypatch.syspath_prepend(str(tmp_path))

    def made(name):
        names = {"__name__": name.removesuffix(".py")}
        exec(compile(PROGRAMS[name], name, "exec"), names)
        return names

    yield made
    sys.modules.pop("factors_view", None)


def wait_served(get):
    """Wait until the view is ready; before, the service says that it is not."""
    wait_until(lambda: get("/factors/set").status_code == 200, "the view", limit_s=LIMIT_S)


@pytest.mark.filterwarnings("ignore")
def test_fastapi(service):
    """Its lifespan starts the view and stops it."""
    app = service("fastapi_service.py")["app"]
    with TestClient(app) as client:
        wait_served(client.get)
        assert client.get("/factors/set").json() == EXPECTED
        assert client.get("/factors/nobody").json() == {}


@pytest.mark.filterwarnings("ignore")
def test_flask(service):
    """The module starts the view when it is imported."""
    names = service("flask_service.py")
    client = names["app"].test_client()
    wait_served(client.get)
    assert client.get("/factors/set").json == EXPECTED
    names["view"].stop()


@pytest.mark.filterwarnings("ignore")
def test_django(service, tmp_path):
    """Its application's ``ready`` starts the view."""
    package = tmp_path / "pricing"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "apps.py").write_text(PROGRAMS["django_apps.py"])
    settings.configure(INSTALLED_APPS=["pricing.apps.PricingConfig"])
    django.setup()
    view = apps.get_app_config("pricing").view
    wait_until(lambda: view.shown is not None, "the view", limit_s=LIMIT_S)
    assert view.of("set")["bank_statement"]["f_revenue_monthly_avg"] == 10_001
    view.stop()
