"""The same job as Faust's documentation would have it: an agent, one event at a time, a RocksDB table, at least once.

Run by ``python -m benchmarks.throughput --peers``; not meant to be started by hand. It keeps each application's
executions in a table, recomputes the touched processor's factors from scratch, and sends a change where they differ.
It has no exact numbers, no strict decoding, no causes, no dead letters and no transactions: it does less than the
worker.
"""

import os
import sys

import faust

NAME = os.environ["BENCH_NAME"]
PARTITIONS = int(os.environ["BENCH_PARTITIONS"])

app = faust.App(
    f"{NAME}-faust",
    broker=f"kafka://{os.environ['KAFKA_BOOTSTRAP_SERVERS']}",
    store="rocksdb://",
    datadir=os.environ["BENCH_DIR"],
    topic_partitions=PARTITIONS,
    topic_disable_leader=True,
    web_enabled=False,
    consumer_max_fetch_size=8 * 1024 * 1024,
    broker_max_poll_records=5_000,
    broker_commit_every=10_000,
)
source = app.topic(f"{NAME}-executions", value_type=dict, partitions=PARTITIONS)
changes = app.topic(f"{NAME}-faust-changes", value_type=dict, partitions=PARTITIONS)
applications = app.Table("applications", default=dict, partitions=PARTITIONS)


def consolidated(executions: dict[str, dict]) -> dict[str, object]:
    """Means of numbers, counts of true: close enough to a catalogue for a comparison of speed."""
    values: dict[str, list] = {}
    for execution in executions.values():
        if execution["status"] == "completed":
            for name, value in execution["factors"].items():
                values.setdefault(name, []).append(value)
    return {
        name: sum(found) if isinstance(found[0], bool) else sum(found) / len(found)
        for name, found in values.items()
        if not isinstance(found[0], str)
    }


@app.agent(source)
async def consolidate(stream) -> None:  # noqa: ANN001 - as a user writes it
    """Fold each event into its application's state."""
    async for event in stream:
        key = event["application_id"]
        state = applications[key]
        processor = state.setdefault(event["processor"], {"executions": {}, "factors": {}})
        if event["status"] in {"completed", "failed"}:
            output = event.get("output") or {}
            processor["executions"][event["execution_id"]] = {
                "status": event["status"],
                "factors": output.get("factors", {}),
            }
            factors = consolidated(processor["executions"])
            if factors != processor["factors"]:
                processor["factors"] = factors
                await changes.send(key=key, value={"processor": event["processor"], "factors": factors})
        applications[key] = state


if __name__ == "__main__":
    sys.argv[1:] = ["worker", "-l", "warn", "--without-web"]
    app.main()
