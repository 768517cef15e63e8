"""What a child says of itself, in one line; and how it is asked."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from streams.supervisor.health import HealthWatch, in_words
from tests.real_kafka.worker_process import wait_until

LIMIT_S = 60.0
RUNNING = {"healthy": True, "checks": [], "partitions": [{"state": "running"}, {"state": "idle"}, {"state": "running"}]}


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (RUNNING, "3 partitions: 1 idle, 2 running"),
        ({"partitions": [{"state": "recovering"}], "checks": []}, "1 partition: 1 recovering"),
        (
            {"partitions": [], "checks": [{"ok": False, "says": "Kafka does not answer"}, {"ok": True, "says": "x"}]},
            "no partitions; Kafka does not answer",
        ),
        ({}, "no partitions"),
        ({"partitions": None, "checks": None}, "no partitions"),
    ],
)
def test_an_answer_in_words(answer, words):
    """States are counted, checks that fail are quoted, and whatever else comes does no harm."""
    assert in_words(answer) == words


class _Answering(BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps(RUNNING).encode() if self.path == "/readyz?format=json" else b"not asked for"
        self.send_response(503)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def test_a_child_is_asked_and_one_that_does_not_answer_says_nothing():
    """The body counts, whatever the status; nobody listening is no error."""
    with HTTPServer(("127.0.0.1", 0), _Answering) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        watch = HealthWatch({"worker": server.server_port, "sink": 1})
        watch.start()
        try:
            wait_until(lambda: "sink" in watch.says, "both to be asked", limit_s=LIMIT_S)
        finally:
            watch.close()
            server.shutdown()
            thread.join()
    assert watch.says == {"worker": "3 partitions: 1 idle, 2 running", "sink": ""}
