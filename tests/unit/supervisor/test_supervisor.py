"""Children are started in order, started again when they end, given up if that is too often, and stopped together."""

from pathlib import Path

import pytest

from models.errors import ContractError, InfrastructureError
from streams.supervisor.children import Ended
from streams.supervisor.restarts import MOST_ENDS
from streams.supervisor.supervisor import Supervisor


class Made:
    """A child whose life the test decides."""

    def __init__(self, name, *, slow=False):
        self.name = name
        self.log_file = Path(f"/logs/{name}.log")
        self.error = f"{name} halted: why\nto do: that"
        self.pid = None
        self.is_starting = False
        self.ended = None
        self.starts = 0
        self.refuses = None
        self.stopped = []
        self._slow = slow

    def start(self):
        if self.refuses is not None:
            raise self.refuses
        self.starts += 1
        self.ended, self.pid, self.is_starting = None, 100 + self.starts, self._slow

    def look(self):
        return self.ended

    def end(self, code):
        self.ended, self.pid = Ended(code), None

    def stop(self, tell):
        tell(f"{self.name} takes its time")
        self.stopped.append(self.name)
        self.pid = None

    def last_error(self):
        return self.error


class Scene:
    """A supervisor, a clock, and what was reported."""

    def __init__(self, *children, has_broker=False):
        self.now = 0.0
        self.reported = []
        self.supervisor = Supervisor(
            children,
            lambda level, event, **facts: self.reported.append((level, event, facts)),
            has_broker=has_broker,
            clock=lambda: self.now,
        )

    def tick(self, after_s=0.0):
        self.now += after_s
        self.supervisor.tick()

    def states(self):
        return {row.name: row.state for row in self.supervisor.rows()}


def test_the_others_wait_until_the_broker_answers():
    """A worker that is started too early would end by itself, which would count."""
    broker, worker = Made("broker", slow=True), Made("worker")
    scene = Scene(broker, worker, has_broker=True)
    scene.tick()
    assert scene.states() == {"broker": "starting", "worker": "waits for the broker"}
    broker.is_starting = False
    scene.tick()
    assert scene.states() == {"broker": "running", "worker": "running"}
    assert (broker.starts, worker.starts) == (1, 1)


def test_what_ends_is_started_again_after_the_pause():
    """The row says when, the report says why; the other one is left alone."""
    worker, sink = Made("worker"), Made("sink")
    scene = Scene(worker, sink)
    scene.tick()
    worker.end(-9)
    scene.tick()
    assert scene.states() == {"worker": "starts again in 1 s", "sink": "running"}
    [warning] = [one for one in scene.reported if one[0] == "warning"]
    assert warning == (
        "warning",
        "worker ended by signal 9: it starts again in 1 s",
        {"restarts": 1, "why": "worker halted: why"},
    )
    scene.tick(0.9)
    assert worker.starts == 1
    scene.tick(0.2)
    assert (worker.starts, sink.starts) == (2, 1)
    assert [row.restarts for row in scene.supervisor.rows()] == [1, 0]


def test_a_broker_that_ended_holds_back_only_what_is_not_running():
    """The worker waits for Kafka by itself; one that ended is started when the broker is back."""
    broker, worker, sink = Made("broker", slow=True), Made("worker"), Made("sink")
    scene = Scene(broker, worker, sink, has_broker=True)
    broker.start()
    broker.is_starting = False
    scene.supervisor.adopt(broker)
    scene.tick()
    broker.end(-9)
    sink.end(3)
    scene.tick()
    scene.tick(1.5)
    assert scene.states() == {"broker": "starting", "worker": "running", "sink": "waits for the broker"}
    broker.is_starting = False
    scene.tick()
    assert scene.states()["sink"] == "running"
    assert worker.starts == 1


def test_what_ends_too_often_ends_everything_and_says_why():
    """The error names the child, how it ended, its last error, and where its log is."""
    worker = Made("worker")
    scene = Scene(worker)
    for _ in range(MOST_ENDS - 1):
        scene.tick(10)
        worker.end(3)
        scene.tick()
    scene.tick(10)
    worker.end(3)
    with pytest.raises(InfrastructureError) as raised:
        scene.tick()
    assert "the worker ended 5 times within 300 s, the last time with exit code 3" in str(raised.value)
    assert str(raised.value).endswith("\nworker halted: why\nto do: that\nits log is in /logs/worker.log")
    assert worker.starts == MOST_ENDS


def test_where_a_log_has_no_error_its_place_is_said():
    """Of what was killed, the other lines say nothing; and they have ids."""
    worker = Made("worker")
    worker.error = ""
    scene = Scene(worker)
    scene.tick()
    worker.end(-9)
    scene.tick()
    assert scene.reported[-1][2]["why"] == "its log is in /logs/worker.log"
    scene.tick(10)
    worker.end(2)
    with pytest.raises(ContractError, match=r"mended first\nits log is in /logs/worker\.log$"):
        scene.tick()


def test_a_contract_that_is_broken_is_not_tried_again():
    """Exit code 2 stays exit code 2, at once."""
    sink = Made("sink")
    scene = Scene(sink)
    scene.tick()
    sink.end(2)
    with pytest.raises(ContractError, match=r"exit code 2.*mended first"):
        scene.tick()


def test_a_start_that_fails_counts_as_an_end():
    """A disk that is full now may have room later."""
    worker = Made("worker")
    scene = Scene(worker)
    worker.refuses = InfrastructureError("no space left")
    scene.tick()
    assert scene.states() == {"worker": "starts again in 1 s"}
    assert scene.reported[-1][2]["why"] == "no space left"
    worker.refuses = None
    scene.tick(1)
    assert scene.states() == {"worker": "running"}


def test_the_last_one_is_stopped_first_and_a_failure_stops_no_other():
    """Sink, worker, broker: each has what it needs while it ends."""
    order = []
    broker, worker, sink = Made("broker"), Made("worker"), Made("sink")
    for one in (broker, worker, sink):
        one.stopped = order
    scene = Scene(broker, worker, sink, has_broker=True)
    scene.tick()

    def refuse(_tell):
        order.append("worker refused")
        raise InfrastructureError("it is still there")

    worker.stop = refuse
    told = []
    with pytest.raises(InfrastructureError, match="the worker could not be ended: it is still there"):
        scene.supervisor.close(told.append)
    assert order == ["sink", "worker refused", "broker"]
    assert told[0] == "Stopping the sink"


def test_what_is_kept_is_not_stopped():
    """A broker that was running before goes on."""
    broker, worker = Made("broker"), Made("worker")
    scene = Scene(broker, worker, has_broker=True)
    scene.tick()
    scene.supervisor.close(lambda _: None, keep=[broker])
    assert (broker.stopped, worker.stopped) == ([], ["worker"])
