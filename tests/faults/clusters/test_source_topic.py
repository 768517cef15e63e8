"""The source topic is not what was agreed: the worker halts, says what to do, and touches nothing.

Nothing was published and nothing committed after the fault: what was there before is compared record by record.
"""

import base64
import random
from dataclasses import dataclass

import pytest
from confluent_kafka.admin import NewPartitions

from consolidator.keys import event_key, partition_of
from tests.fault_runs.conclusion import Conclusion
from tests.inputs.workloads import believable, to_json
from tests.oracle.checker import Observed
from tests.real_kafka.installation import LIMIT_S, Installation
from tests.real_kafka.installed import installed
from tests.real_kafka.worker_process import WorkerProcess

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

EXIT_CONTRACT = 2

PADDED_EVENTS = 4_000
PADDING_BYTES = 12_000
"""Far more than a worker fetches ahead, which is 8 MiB at a time, before it could have folded a tenth of it."""


@dataclass
class Contract:
    """An installation whose worker has to halt, and what was there before.

    Attributes:
        installation: the installation, settled: there are a state and a group.
        before: everything, as it was before the fault.
        conclude: ends a scenario.
    """

    installation: Installation
    before: Observed
    conclude: Conclusion

    @property
    def source(self) -> str:
        return self.installation.topics.executions.name

    def require_halted(self, worker: WorkerProcess, *said: str) -> None:
        """The worker ends by itself, as for a broken contract, and says all of this, and of which topic."""
        require_halted(worker, self.source, *said)

    def require_untouched(self, scenario: str, fault: str) -> None:
        """What was published is what was there before, and the laws hold for that."""
        before = (self.before.changes, self.before.factors, self.before.dead_letters)
        for then, now in zip(before, self.installation.published(), strict=True):
            assert set(now) == set(then)
            assert len(now) == len(then)
        held = "the laws for what was there before; exit 2, nothing published, nothing committed"
        self.conclude(self.installation, scenario=scenario, fault=fault, held=held, observed=self.before)


def require_halted(worker: WorkerProcess, *said: str) -> None:
    """The worker ends by itself, as for a broken contract, and says all of this."""
    assert worker.wait_exit() == EXIT_CONTRACT, worker.tail()
    [halt] = worker.entries("worker halted")
    for text in said:
        assert text in halt["error"], halt


@pytest.fixture
def contract(installation, conclude):
    installation.publish(believable(71, 30))
    worker = installation.start().wait_ready(installation.partitions)
    installation.wait_consumed(worker)
    worker.stop()
    return Contract(installation, installation.observe(state=installation.state_dir), conclude)


@pytest.mark.parametrize("applications", [3, 120], ids=["shorter than before", "grown past the state"])
def test_a_recreated_topic_is_refused(contract, applications):
    """Another topic of the same name is refused by its id, also where it has more events than the state had."""
    installation = contract.installation
    old = installation.ends()
    installation.delete_topic(contract.source)
    installation.create_topics()
    installation.publish(believable(72, applications))
    assert all(installation.ends()[partition] > old[partition] for partition in old) == (applications > 100)
    for _ in range(2):
        contract.require_halted(installation.start(), "re-created", "CONSOLIDATOR_APP_ID")
    contract.require_untouched("15 source re-created", "source topic deleted and re-created while the worker was down")


def test_a_topic_deleted_under_a_running_worker_halts_it(contract):
    """To the clients an absent topic is no error; the worker ends within seconds."""
    installation = contract.installation
    worker = installation.start().wait_ready(installation.partitions)
    installation.delete_topic(contract.source)
    contract.require_halted(worker, "is gone", "topics apply", "CONSOLIDATOR_APP_ID")
    contract.require_untouched("15 source deleted", "source topic deleted under a running worker")


def test_a_topic_recreated_under_a_running_worker_halts_it(contract):
    """A worker that reads by name notices that the name stands for another topic now."""
    installation = contract.installation
    worker = installation.start().wait_ready(installation.partitions)
    installation.delete_topic(contract.source)
    installation.create_topics()
    contract.require_halted(worker, "re-created", "CONSOLIDATOR_APP_ID")
    contract.require_untouched("15 source re-created, running", "source topic deleted and re-created under a worker")


def test_more_partitions_halt_the_running_worker_and_the_next_one(contract):
    """Applications would move to other partitions: the worker ends, and none starts."""
    installation = contract.installation
    worker = installation.start().wait_ready(installation.partitions)
    wanted = NewPartitions(contract.source, 2 * installation.partitions)
    installation.add_partitions(wanted)
    contract.require_halted(worker, "8 partitions, expected 4", "CONSOLIDATOR_TOPIC_PREFIX")
    refused = installation.start()
    assert refused.wait_exit() == EXIT_CONTRACT, refused.tail()
    assert f"{contract.source}: partitions is 8, expected 4" in refused.log
    contract.require_untouched("15 partitions added", "partitions added to the source topic, worker running and down")


def test_retention_that_was_switched_on_is_refused_and_so_is_what_it_removed(contract):
    """First the altered setting is named; once it is mended, the offset of the next event to fold, which is gone."""
    installation = contract.installation
    ends = installation.ends()
    installation.publish(believable(73, 60))
    allow_removal(installation)
    refused = installation.start()
    assert refused.wait_exit() == EXIT_CONTRACT, refused.tail()
    assert f"{contract.source}: cleanup.policy is compact,delete, expected compact" in refused.log
    assert "--add-config 'cleanup.policy=compact'" in refused.log
    contract.require_untouched("15 drift", "clean-up policy of the source topic altered")
    remove_records(installation)
    installation.alter_topic(contract.source, "cleanup.policy", "compact")
    for _ in range(2):
        contract.require_halted(installation.start(), "removed before they were folded", "CONSOLIDATOR_APP_ID")
    assert installation.committed() == ends
    contract.require_untouched("15 events removed, down", "unfolded events removed from the source, worker down")


def test_events_removed_before_a_running_worker_read_them_halt_it(kafka, tmp_path, conclude):
    """A position that is gone is an error: the consumer does not start over, nor go on where the topic begins."""
    with installed(
        kafka,
        tmp_path,
        CONSOLIDATOR_PARTITIONS="1",
        CONSOLIDATOR_BATCH_EVENTS="50",
        CONSOLIDATOR_SESSION_TIMEOUT_S=str(LIMIT_S),
        # A worker that halts may leave a transaction open; nobody comes here to end it, so the broker has to.
        CONSOLIDATOR_BROKER_PATIENCE_S="10",
    ) as installation:
        worker = installation.start().wait_ready()
        allow_removal(installation)
        worker.freeze()
        installation.publish_raw(padded_records())
        source = installation.observe().source
        worker.cont()
        installation.wait_progress(0.02, worker)
        remove_records(installation)
        require_halted(
            worker, installation.topics.executions.name, "there is no offset", "removed before they were folded"
        )
        [committed] = installation.committed().values()
        assert 0 < committed < PADDED_EVENTS
        # What was folded before the hole is right and complete.
        observed = installation.observe(state=installation.state_dir)
        observed = Observed(
            source[:committed], observed.changes, observed.factors, observed.dead_letters, observed.tables
        )
        conclude(
            installation,
            scenario="15 events removed, running",
            fault="unfolded events removed from the source under a running worker",
            held="the laws for what was folded; exit 2",
            observed=observed,
        )


def allow_removal(installation: Installation) -> None:
    """Alter the clean-up policy of the source topic: the broker removes nothing from one that is compacted only."""
    installation.alter_topic(installation.topics.executions.name, "cleanup.policy", "compact,delete")


def remove_records(installation: Installation) -> None:
    """Remove all events, as retention does."""
    for partition, end in installation.ends().items():
        installation.delete_records(installation.topics.executions.name, partition, end)


def padded_records():
    """Large events of one partition, of bytes that do not compress."""
    rng = random.Random(74)
    for number in range(PADDED_EVENTS):
        event = {
            "application_id": f"app-{number}",
            "event_id": f"evt-{number}",
            "execution_id": "e1",
            "processor": "p",
            "status": "requested",
            "occurred_at": "2025-03-03T09:00:00Z",
            "ignored": base64.b64encode(rng.randbytes(PADDING_BYTES)).decode(),
        }
        yield event_key(event["application_id"], event["event_id"]), to_json(event), partition_of("any", 1)
