"""The same job as Faust's documentation would have it: an agent, one event at a time, a RocksDB table, at least once.

Started by the benchmarks, in the project's own environment; not meant to be started by hand. It keeps each pair's
executions in a table, recomputes its factors from scratch, and sends a change where they differ. It has no strict
decoding, no dead letters and no transactions: it does less than the worker.
"""

import os
import sys

import faust

from benchmarks.sides.plain_consolidation import change_of, empty_row

NAME = os.environ["BENCH_NAME"]
PARTITIONS = int(os.environ["BENCH_PARTITIONS"])

app = faust.App(
    NAME,
    broker=f"kafka://{os.environ['KAFKA_BOOTSTRAP_SERVERS']}",
    store="rocksdb://",
    datadir=os.environ["BENCH_DIR"],
    topic_partitions=PARTITIONS,
    topic_disable_leader=True,
    web_enabled=False,
    consumer_max_fetch_size=8 * 1024 * 1024,
    broker_max_poll_records=5_000,
    broker_commit_every=10_000,
    broker_commit_interval=int(os.environ["BENCH_COMMIT_INTERVAL_MS"]) / 1000,
    producer_compression_type="lz4",
    producer_linger=0.005,
)
source = app.topic(os.environ["BENCH_SOURCE"], value_serializer="json", partitions=PARTITIONS)
changes = app.topic(os.environ["BENCH_CHANGES"], value_serializer="json", partitions=PARTITIONS)
pairs = app.Table("pairs", default=empty_row, partitions=PARTITIONS)


@app.agent(source)
async def consolidate(stream) -> None:  # noqa: ANN001 - as a user writes it
    """Fold each event into its pair's row."""
    ready = False
    async for event in stream:
        if not ready:
            ready = True
            print(os.environ["BENCH_READY"], file=sys.stderr, flush=True)
        key = f"{event['application_id']}/{event['processor']}"
        row = pairs[key]
        change = change_of(row, event)
        pairs[key] = row
        if change is not None:
            await changes.send(key=key, value=change)


if __name__ == "__main__":
    sys.argv[1:] = ["worker", "-l", "warn", "--without-web"]
    app.main()
