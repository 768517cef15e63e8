"""How fast the database answers ``consolidator factors`` and ``factors --at``; a process' start is not in it."""

import statistics
import time

from streams.configuration.connection import topics_of
from streams.configuration.settings import Settings
from streams.core.pair_summary import summary_json, summary_of
from streams.sink.database import url_of
from streams.sink.reading.answers import stored_answers
from tests.oracle.folds import RECORDED_MS

GROUP = "benchmark"
AT = RECORDED_MS * 1_000
"""The broker's time of every record: all of the log, of which every application has its part."""


def answered_ms(url: str, applications: list[str], partitions: int) -> dict[str, dict[str, float]]:
    """Median and 99th percentile of what both commands do.

    The database is opened, asked and closed each time, as each command does.

    Args:
        url: a database of the group :data:`GROUP`.
        applications: who is asked about.
        partitions: of the source.
    """
    settings = Settings.model_validate({"CONSOLIDATOR_APP_ID": GROUP, "CONSOLIDATOR_PARTITIONS": str(partitions)})
    topics = topics_of(settings)
    times: dict[str, list[float]] = {"factors_ms": [], "factors_at_ms": []}
    for application in applications:
        began = time.perf_counter()
        found = stored_answers(url_of(url), settings, topics, application).current()
        times["factors_ms"].append(1_000 * (time.perf_counter() - began))
        assert found
        began = time.perf_counter()
        answers = stored_answers(url_of(url), settings, topics, application, (AT,))
        book, inquiry = answers.inquiry((AT,), lambda _, __: None)
        answer = inquiry.known(AT)
        told = [summary_json(summary_of(one.pair, book.of_row(one.pair.row))) for one in answer.processors.values()]
        times["factors_at_ms"].append(1_000 * (time.perf_counter() - began))
        assert told
    return {
        name: {"median": round(statistics.median(each), 3), "p99": round(statistics.quantiles(each, n=100)[98], 3)}
        for name, each in times.items()
    }
