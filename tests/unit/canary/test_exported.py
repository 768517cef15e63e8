"""What the canary publishes and exports: an event whose change is known before, and metrics under the agreed names."""

from datetime import UTC, datetime

from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import CollectorRegistry

from consolidator.keys import change_key
from streams.canary.figures import BOUNDS_S, CanaryFigures
from streams.canary.ids import PROCESSOR, canary_event
from streams.canary.rounds import Round
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


def samples_of(figures):
    """What is exported, by the name of each sample and the bound of its bucket."""
    registry = CollectorRegistry()
    registry.register(figures)
    text = generate_latest(registry).decode()
    return {
        (sample.name, sample.labels.get("le")): sample
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def exported():
    """The samples of a canary that began at 40 s, with two rounds that came out and then one that is lost."""
    figures = CanaryFigures("app", 60.0, began=40.0)
    figures.count(Round(0, 0.04), at=100.0)
    figures.count(Round(1, 60.0), at=160.5)
    figures.count(Round(2, None, "late"), at=220.0)
    return samples_of(figures)


def test_the_metrics_are_what_happened():
    """A histogram that counts every round in its last bucket, losses, and the times of the last success and round."""
    samples = exported()
    values = {key: sample.value for key, sample in samples.items()}
    assert values["consolidator_canary_seconds_count", None] == 2
    assert values["consolidator_canary_seconds_sum", None] == 60.04
    assert values["consolidator_canary_seconds_bucket", "0.05"] == 1
    assert values["consolidator_canary_seconds_bucket", str(BOUNDS_S[-1])] == 1
    assert values["consolidator_canary_seconds_bucket", "+Inf"] == 2
    assert values["consolidator_canary_lost_total", None] == 1
    assert values["consolidator_canary_last_success_timestamp_seconds", None] == 160.5
    assert values["consolidator_canary_last_round_timestamp_seconds", None] == 220.0
    assert values["consolidator_canary_interval_seconds", None] == 60.0
    assert samples["consolidator_build_info", None].labels["role"] == "canary"
    assert {sample.labels["app_id"] for sample in samples.values()} == {"app"}


def test_before_its_first_success_a_canary_counts_from_its_start():
    """A first round that is lost is no success of 1970."""
    figures = CanaryFigures("app", 60.0, began=40.0)
    for at in (40.0, 70.0):
        samples = samples_of(figures)
        assert samples["consolidator_canary_last_success_timestamp_seconds", None].value == 40.0
        assert samples["consolidator_canary_last_round_timestamp_seconds", None].value == at
        figures.count(Round(0, None, "late"), at=70.0)


def test_a_partition_is_lost_until_its_next_round_succeeds():
    """However many partitions there are, and however often it is lost."""
    figures = CanaryFigures("app", 60.0, began=0.0)
    numbers = []
    for partition, seconds in ((30, None), (31, None), (30, None), (0, 0.1), (30, 0.1), (31, 0.1)):
        figures.count(Round(partition, seconds), at=1.0)
        numbers.append(samples_of(figures)["consolidator_canary_lost_partitions", None].value)
    assert numbers == [1, 2, 2, 2, 1, 0]


def test_the_metrics_are_those_of_the_list():
    """All of them with their labels, and no others, not even the library's own."""
    listed = {name for name in exposed_metrics() if name.startswith("consolidator_canary_")}
    series = {
        name: set(metric.labels)
        for name, metric in series_names().items()
        if any(name.startswith(one) for one in listed) or name.endswith("_build_info")
    }
    found = {name: set(sample.labels) for (name, _), sample in exported().items()}
    assert found.pop("consolidator_build_info") == series.pop("consolidator_build_info") | {"app_id"}
    assert found == series
