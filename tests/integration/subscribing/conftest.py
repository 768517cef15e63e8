"""Topics with changes, for subscriptions on a real broker."""

from collections.abc import Callable
from typing import Any

import pytest

import consolidator
from consolidator import Item, Subscription
from tests.real_kafka.installation import Installation
from tests.real_kafka.published_topics import Published
from tests.real_kafka.subscribing import drained


@pytest.fixture
def published(installation: Installation) -> Published:
    """The two topics of an installation, empty."""
    installation.create_topics()
    return Published(installation)


@pytest.fixture(params=[False, True], ids=["for", "async for"])
def is_async(request: pytest.FixtureRequest) -> bool:
    """Both ways to iterate."""
    return bool(request.param)


@pytest.fixture
def arguments(kafka: str, installation: Installation) -> dict[str, Any]:
    """The connection."""
    return {"bootstrap_servers": kafka, "topic_prefix": f"{installation.name}."}


@pytest.fixture
def subscribed(arguments: dict[str, Any]) -> Callable[..., Subscription]:
    """Subscribes to the test's topics."""
    return lambda **more: consolidator.subscribe(**{"progress_s": 60.0, **arguments, **more})


@pytest.fixture
def read(arguments: dict[str, Any]) -> Callable[..., list[Item]]:
    """Everything that a subscription yields until it has caught up."""
    servers = arguments["bootstrap_servers"]
    return lambda **more: drained(servers, **{"topic_prefix": arguments["topic_prefix"], "progress_s": 60.0, **more})
