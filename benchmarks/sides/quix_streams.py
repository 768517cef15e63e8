"""The same job for Quix Streams: a streaming data frame with state by message key, its changelog and a changes topic.

Started by the benchmarks, in an environment of its own (``quix_requirements.txt``). BENCH_GUARANTEE is at-least-once or
exactly-once. A checkpoint is also Quix Streams' transaction: its interval bounds how old a change is before a
read_committed reader sees it, so the documentation ("Configuring Quix Streams Applications", "Exactly-Once producer
buffering") has it lowered where latency counts.
"""

import os
import sys
from typing import Any

from quixstreams import Application, State

from benchmarks.sides.plain_consolidation import change_of, empty_row

COMMIT_INTERVAL_S = int(os.environ["BENCH_COMMIT_INTERVAL_MS"]) / 1000
FOR_LATENCY = os.environ["BENCH_FOR"] == "latency"
_READY: list[str] = [os.environ["BENCH_READY"]]


def consolidate(event: dict[str, Any], state: State) -> list[dict[str, Any]]:
    """Fold an event into the row of its application and processor; the change, if there is one."""
    if _READY:
        print(_READY.pop(), file=sys.stderr, flush=True)
    row = state.get(event["processor"]) or empty_row()
    change = change_of(row, event)
    state.set(event["processor"], row)
    return [] if change is None else [change]


def create_application() -> Application:
    """Wire topics, state and output."""
    app = Application(
        broker_address=os.environ["KAFKA_BOOTSTRAP_SERVERS"],
        consumer_group=os.environ["BENCH_NAME"],
        auto_offset_reset="earliest",
        processing_guarantee=os.environ["BENCH_GUARANTEE"],
        commit_interval=COMMIT_INTERVAL_S,
        # An idle poll must not outlast the checkpoint's interval.
        consumer_poll_timeout=min(1.0, COMMIT_INTERVAL_S),
        state_dir=os.environ["BENCH_DIR"],
        producer_extra_config={"compression.type": "lz4", "linger.ms": 0 if FOR_LATENCY else 50},
        loglevel="WARNING",
    )
    source = app.topic(os.environ["BENCH_SOURCE"], value_deserializer="json", key_deserializer="str")
    changes = app.topic(os.environ["BENCH_CHANGES"], value_serializer="json", key_serializer="str")
    frame = app.dataframe(source).apply(consolidate, stateful=True, expand=True)
    frame.to_topic(changes, key=lambda change: f"{change['application_id']}/{change['processor']}")
    return app


if __name__ == "__main__":
    create_application().run()
