"""The package loads what is used, when it is used."""

import subprocess
import sys

import pytest

import consolidator
from tests.inputs.repository import ROOT

PATH = f"import sys; sys.path.insert(0, {str(ROOT / 'clients' / 'python')!r}); "


@pytest.mark.parametrize(
    ("used", "unloaded"),
    [
        ("import consolidator; consolidator.UsageError", {"msgspec", "confluent_kafka", "asyncio"}),
        ("from consolidator import decode_change, partition_of", {"confluent_kafka", "asyncio"}),
        ("import consolidator.testing", {"confluent_kafka"}),
    ],
)
def test_what_is_not_used_is_not_loaded(used, unloaded):
    """Errors need no decoder, and decoding needs no Kafka client."""
    code = f"{PATH}{used}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60)
    assert unloaded & {*done.stdout.split()} == set()


def test_every_public_name_is_there():
    """What the package lists can be imported from it; what it does not have is an AttributeError."""
    assert {name for name in consolidator.__all__ if getattr(consolidator, name, None) is None} == set()
    with pytest.raises(AttributeError, match="no attribute 'subcribe'"):
        _ = consolidator.subcribe
