"""What a broker's compilers take is seen from outside."""

import ctypes
import os
import sys
import threading
import time
from types import SimpleNamespace

import pytest

from benchmarks import latency
from benchmarks.load.jit import CompilerWatch
from benchmarks.sides.launch import SIDES

LIMIT_S = 30.0
_PR_SET_NAME = 15


def named(name, call):
    """Run a call in a thread that Linux knows by this name."""

    def run():
        ctypes.CDLL(None).prctl(_PR_SET_NAME, name, 0, 0, 0)
        call()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


@pytest.mark.skipif(sys.platform != "linux", reason="reads what Linux tells of threads")
def test_only_the_compilers_threads_are_counted():
    """Another thread's work, however much it is, is none of theirs."""
    watch = CompilerWatch(os.getpid())
    enough = threading.Event()

    def work():
        while not enough.is_set():
            pass

    shares = {}
    for name in (b"kafka-network", b"C2 CompilerThread0"):
        enough.clear()
        watch.start()
        thread = named(name, work)
        deadline = time.monotonic() + LIMIT_S
        began = time.process_time()
        while time.process_time() - began < 0.3:
            assert time.monotonic() < deadline, "0.3 s of work"
            time.sleep(0.01)
        shares[name] = watch.share()
        enough.set()
        thread.join(LIMIT_S)
    assert shares[b"kafka-network"] == 0
    assert shares[b"C2 CompilerThread0"] > 0


def test_nothing_is_known_of_somebody_elses_broker():
    """A broker that the session did not start may run on another machine."""
    watch = CompilerWatch(None)
    watch.start()
    assert watch.share() is None


@pytest.mark.parametrize(
    ("shares", "counted"),
    [
        ([0.05, 0.5, 0.5], [1, 2]),
        ([0.3, 0.2, 0.04, 0.3, 0.3], [3, 4]),
        ([0.3] * 6, [4, 5]),
        ([None] * 3, [1, 2]),
    ],
)
def test_no_round_counts_while_the_broker_compiles_itself(monkeypatch, shares, counted):
    """The first one never does, and there is an end to waiting; a broker that cannot be looked at is not waited for."""
    coming = iter(shares)

    class Watch:
        def __init__(self, pid):
            """Of nobody."""

        def start(self):
            """Nothing is measured."""

        def share(self):
            return next(coming)

    monkeypatch.setattr(latency, "CompilerWatch", Watch)
    monkeypatch.setattr(latency, "_measure_side", lambda _session, _side, _workload, _plan, number: [number])
    session = SimpleNamespace(broker_pid=None)
    turns = [latency._Turns(SIDES["worker"])]
    plan = latency.Plan(rates=[1_000.0], seconds=1, warm_up_s=0, rounds=2)
    assert latency._take_turns(session, turns, None, plan) == shares
    assert turns[0].rounds == [[number] for number in counted]
