"""What the canary publishes and exports: an event whose change is known before, and metrics under the agreed names."""

from datetime import UTC, datetime

from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import CollectorRegistry

from consolidator.keys import change_key
from streams.canary.figures import BOUNDS_S, CanaryFigures
from streams.canary.ids import PROCESSOR, canary_event
from streams.rulesets.catalogue_file import load_catalogue
from streams.testing.catalogue_fold import CatalogueFold
from tests.alerting.exposed_metrics import exposed_metrics, series_names
from topics.records.decoding import decode_event

NOW = datetime(2026, 3, 1, 10, 0, tzinfo=UTC)


def test_each_round_is_another_event_of_the_same_execution():
    """So a change lists one execution, however many rounds there were."""
    first, second = (
        decode_event(canary_event("consolidator-canary/a", number, NOW).value, max_bytes=1_024) for number in (1, 2)
    )
    assert (first.processor, first.execution_id) == (second.processor, second.execution_id) == (PROCESSOR, "canary")
    assert (first.attempt, second.attempt) == (1, 2)
    assert first.event_id != second.event_id


def test_the_change_of_an_event_is_known_before():
    """Its key is the worker's, in each round: what is lost, or comes later, can be erased."""
    fold = CatalogueFold(load_catalogue(None))
    for number in (1, 2, 3):
        key, value, change_of_it = canary_event("consolidator-canary/a", number, NOW)
        change = fold.apply(value)
        assert change is not None
        assert change_of_it == change_key("consolidator-canary/a", change.id)
        assert key == b"consolidator-canary%%2Fa/round-%d" % number


def exported():
    """The samples of a canary with two rounds that came out and one that is lost."""
    figures = CanaryFigures()
    figures.succeeded(0.04, at=100.0)
    figures.succeeded(60.0, at=160.5)
    figures.lost()
    registry = CollectorRegistry()
    registry.register(figures)
    text = generate_latest(registry).decode()
    return {
        (sample.name, sample.labels.get("le")): sample
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_the_metrics_are_what_happened():
    """A histogram that counts every round in its last bucket, losses, and the time of the last success."""
    samples = exported()
    values = {key: sample.value for key, sample in samples.items()}
    assert values["consolidator_canary_seconds_count", None] == 2
    assert values["consolidator_canary_seconds_sum", None] == 60.04
    assert values["consolidator_canary_seconds_bucket", "0.05"] == 1
    assert values["consolidator_canary_seconds_bucket", str(BOUNDS_S[-1])] == 1
    assert values["consolidator_canary_seconds_bucket", "+Inf"] == 2
    assert values["consolidator_canary_lost_total", None] == 1
    assert values["consolidator_canary_last_success_timestamp_seconds", None] == 160.5
    assert samples["consolidator_build_info", None].labels["role"] == "canary"


def test_the_metrics_are_those_of_the_list():
    """All of them, and no others, not even the library's own."""
    listed = {name for name in exposed_metrics() if name.startswith("consolidator_canary_")}
    series = {
        name for name in series_names() if any(name.startswith(one) for one in listed) or name.endswith("_build_info")
    }
    assert {name for name, _ in exported()} == series
