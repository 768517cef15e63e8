"""Bytes of what comes of an event, record by record: ``python -m benchmarks.record_bytes``.

For ``consolidator size``. The design's workload is folded in this process, one event a transaction, as slow traffic is:
no record is packed together with others, so that this is the most that a topic can take. Keys, values and headers are
counted, without Kafka's framing. The same code and seed give the same figures on every machine; no broker is needed.
"""

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import Any, Final

from tests.inputs.design_workload import design_workload
from tests.inputs.workloads import load_catalogue
from tests.oracle.folds import Partition, Record

EVENTS_AN_APPLICATION: Final = 20


def measured(events: int, seed: int) -> dict[str, Any]:
    """Fold a workload; its bytes.

    Args:
        events: how many.
        seed: of the workload.
    """
    applications = max(1, events // EVENTS_AN_APPLICATION)
    partition = Partition(load_catalogue(), cached_pairs=10 * applications, cached_weight=1_000_000_000)
    written: Counter[str] = Counter()
    for offset, message in enumerate(design_workload(events, applications, seed)):
        written["executions"] += len(message.key) + len(message.value)
        written["event values"] += len(message.value)
        folded = partition.take(Record(offset, message.key, message.value))
        for record in folded.outgoing:
            headers = sum(len(name) + len(value or b"") for name, value in record.headers or ())
            written[record.topic] += len(record.key or b"") + len(record.value or b"") + headers
            written[f"{record.topic}, records"] += 1
        written["changelog"] += sum(len(key) + len(row or b"") for key, row in folded.rows())
    rows = sum(len(key) + len(row) for key, row in partition.rows.items())
    changes = written["factor-changes, records"]
    return {
        "events": events,
        "applications": applications,
        "changes": changes,
        "pairs": len(partition.rows.items()) - 1,
        "event_value_bytes": round(written["event values"] / events, 1),
        "executions_bytes_per_event": round(written["executions"] / events, 1),
        "change_bytes": round(written["factor-changes"] / changes, 1),
        "factors_bytes": round(written["factors"] / written["factors, records"], 1),
        "changelog_bytes_per_event": round(written["changelog"] / events, 1),
        "last_rows_bytes_per_event": round(rows / events, 1),
    }


def main() -> None:
    """Measure; the figures as JSON, to stdout or into a file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, help="the file to write")
    arguments = parser.parse_args()
    text = json.dumps({"kind": "record_bytes", **measured(arguments.events, arguments.seed)})
    if arguments.json is None:
        print(text)
    else:
        arguments.json.write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
