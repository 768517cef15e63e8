"""Any order of events, crashes, rebalances and compactions: the committed outputs are the oracle's, exactly once.

A state machine drives the product's lane, fold, transactions and RocksDB store on a simulated Kafka, and asks the
checker after each step. The planted defects show that it would notice.
"""

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import (
    run_state_machine_as_test,
)

from consolidator.keys import partition_of
from models.errors import ContractError
from streams.core.compiled import is_compiled
from streams.partition.partition_fold import PartitionFold
from tests.simulation.defects import DEFECTS
from tests.simulation.machine import PAIRS, Machine
from tests.simulation.simulation import Simulation
from tests.simulation.worker import PARTITIONS

STEPS = 50


def test_both_partitions_have_applications() -> None:
    """One partition has two applications, the other one."""
    assert len({partition_of(application, PARTITIONS) for application, _ in PAIRS}) == PARTITIONS


def test_any_history_is_folded_exactly_once() -> None:
    """Whatever happens in whatever order, outputs, state and disks are the oracle's, and at the end nothing lacks."""
    run_state_machine_as_test(Machine, settings=settings(stateful_step_count=STEPS))


@pytest.mark.parametrize("room", [1, 4_000])
def test_any_history_is_folded_exactly_once_where_rounds_are_cut(room: int) -> None:
    """A round of which more comes than a transaction may have is several, with a crash between any two of them."""
    cut = type("Cut", (Simulation,), {"round_bytes": room})
    machine = type("CutMachine", (Machine,), {"simulation": cut})
    run_state_machine_as_test(machine, settings=settings(stateful_step_count=STEPS))


def test_a_worker_that_dies_in_a_batch_that_was_folded_ahead_is_dead() -> None:
    """Found by the test above: the simulated process went on without that batch, and its change was missing."""
    event = {"execution_id": "a", "status": "cancelled", "occurred_at": "2025-03-03T09:00:00Z"}
    machine = Machine()
    try:
        machine.begin(cached_pairs=0, lingering=True, owners=(0, 0))
        machine.fold_ahead(new=[event, event | {"execution_id": "b", "status": "failed"}], pair=PAIRS[1])
        machine.crash(passes=0, point="produce", seat=0)
        machine.erase(which=1, application="")
        machine.fold_ahead(new=[event, event | {"execution_id": "b", "status": "failed"}], pair=PAIRS[0])
        machine.exactly_once()
    finally:
        machine.teardown()


# -- planted defects


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_planted_defect_is_found(defect: str) -> None:
    """Each defect has a counterexample among the first histories."""
    if is_compiled() and DEFECTS[defect].fold is not PartitionFold:
        pytest.skip("the defect takes the place of a compiled part")
    machine = type("DefectiveMachine", (Machine,), {"simulation": DEFECTS[defect]})
    quickly = settings(
        max_examples=1_000,
        stateful_step_count=STEPS,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    with pytest.raises((AssertionError, ContractError)):
        run_state_machine_as_test(machine, settings=quickly)
