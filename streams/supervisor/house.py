"""Everything that one ``consolidator up`` runs: opened in order, looked after, closed so that nothing stays behind."""

import signal
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from time import monotonic
from typing import Final

from pydantic import SecretStr

from consolidator.connecting.addresses import Servers, require_listener
from models.errors import ContractError, InfrastructureError
from streams.broker.process import exclusive
from streams.configuration.broker_choice import cache_dir, data_dir
from streams.configuration.connection import connection_of, topics_of
from streams.configuration.settings import Settings
from streams.demo.feed import DayFeed
from streams.demo.installation import Installation
from streams.runtime.signals import deferred_signals
from streams.supervisor.children import BrokerProcess, Child, CommandProcess, end_leftover
from streams.supervisor.composition import SINK, WORKER, command_processes, looked_at_with
from streams.supervisor.health import HealthWatch
from streams.supervisor.kafka_watch import KafkaWatch, Progress
from streams.supervisor.supervisor import Report, Row, Supervisor
from topics.cluster.authorization import require_permissions
from topics.cluster.provisioning import apply
from topics.contract.permissions import inspection

__all__ = ["Demo", "House", "Shown", "end_with_terminal"]

Tell = Callable[[str], None]

_LOCK_LIMIT_S: Final = 1.0
_SMALL_LOGS_EACH_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Demo:
    """The demonstration's day: its seed, and how many applications it has."""

    seed: int
    applications: int


@dataclass(frozen=True, slots=True)
class Shown:
    """What is to be shown.

    Attributes:
        servers: the brokers.
        has_broker: whether the embedded one is among the rows.
        rows: the children.
        says: what a child says of itself, by its name.
        progress: what Kafka said; None: nothing yet.
        day: how far the demonstration's day is; empty: there is none.
        look_with: a command with the variables by which others look at the demonstration; empty: there is none.
        logs: the directory of the logs.
    """

    servers: str
    has_broker: bool
    rows: list[Row]
    says: dict[str, str]
    progress: Progress | None
    day: str
    look_with: str
    logs: str


class House:
    """One supervisor with all that it needs; :meth:`open` it, :meth:`step` often, :meth:`close` it in any case.

    Args:
        settings: of the user.
        report: called with what happens, see :data:`~streams.supervisor.supervisor.Report`.
        with_sink: whether to run a sink: its extra is installed.
        demo: the day to publish, into topics of its own; None: none.
    """

    def __init__(self, settings: Settings, report: Report, *, with_sink: bool, demo: Demo | None) -> None:
        self._user = settings
        self._report = report
        self._with_sink = with_sink
        self._demo = demo
        self._directory = settings.state_dir / "up"
        self._mark = self._directory / "broker-started"
        self._installation = None if demo is None else Installation(settings)
        self._settings = settings if self._installation is None else self._installation.settings
        if self._installation is not None and with_sink:
            # The user's own database belongs to the user's own topics.
            url = SecretStr(f"sqlite:///{self._installation.directory / 'model.db'}")
            self._settings = self._settings.model_copy(update={"sink_url": url})
        self._broker: BrokerProcess | None = None
        self._keeps_broker = False
        self._noted: int | None = None
        self._supervisor: Supervisor | None = None
        self._commands: list[CommandProcess] = []
        self._kafka: KafkaWatch | None = None
        self._health = HealthWatch({})
        self._feed: DayFeed | None = None
        self._locked = ExitStack()
        self._is_alone = False
        self._logs_looked_at = monotonic()
        self._servers = ""

    def open(self, tell: Tell) -> None:
        """Bring everything up to the point where :meth:`step` goes on.

        1. Be the only one in this state directory, and end what a killed one has left: before anything that can fail,
           as whoever is told that everything is stopped does not look for it.
        2. The broker, if none is set.
        3. The topics.
        4. The children, which the first steps start; the watches; the day.

        Args:
            tell: called with a text about the step that takes time.

        Raises:
            ContractError: another one is at work here, or settings or the cluster do not allow it.
            InfrastructureError: the broker cannot be started, or Kafka does not answer.
        """
        # 1.
        self._directory.mkdir(0o700, parents=True, exist_ok=True)
        try:
            self._locked.enter_context(exclusive(self._directory / "up.lock", limit_s=_LOCK_LIMIT_S))
        except InfrastructureError as error:
            raise ContractError(f"another `consolidator up` is at work in {self._user.state_dir}") from error
        self._is_alone = True
        self._end_leftovers(tell)
        # 2.
        self._servers = self._open_broker(tell)
        # 3.
        self._open_topics(tell)
        if self._installation is not None:
            self._report("info", "the demonstration has topics of its own; look at them with", command=self._look_with)
        # 4.
        self._commands, ports = command_processes(
            self._settings, self._servers, self._directory, with_sink=self._with_sink
        )
        brokers: list[Child] = [] if self._broker is None else [self._broker]
        self._supervisor = Supervisor([*brokers, *self._commands], self._report, has_broker=self._broker is not None)
        if self._broker is not None:
            self._supervisor.adopt(self._broker)
        topics, config = topics_of(self._settings), connection_of(self._settings).librdkafka()
        self._kafka = KafkaWatch(config, self._settings.app_id, topics)
        self._kafka.start()
        self._health = HealthWatch(ports)
        self._health.start()
        if self._installation is not None and self._demo is not None:
            tell("Inventing a day")
            self._feed = DayFeed(self._installation, seed=self._demo.seed, applications=self._demo.applications)
            self._feed.start()

    def step(self) -> None:
        """Look after the children; returns at once.

        Raises:
            ContractError: a child ended with exit code 2.
            InfrastructureError: a child ended too often.
        """
        if self._supervisor is not None:
            self._supervisor.tick()
        self._note_broker()
        if monotonic() - self._logs_looked_at > _SMALL_LOGS_EACH_S:
            self._logs_looked_at = monotonic()
            for command in self._commands:
                command.keep_log_small()

    def shown(self) -> Shown:
        """What is to be shown now."""
        return Shown(
            self._servers,
            self._broker is not None,
            [] if self._supervisor is None else self._supervisor.rows(),
            dict(self._health.says),
            None if self._kafka is None else self._kafka.progress,
            _day_of(self._feed),
            self._look_with,
            str(self._directory),
        )

    def close(self, tell: Tell) -> bool:
        """Stop everything that was started, in the order that loses nothing. May be called at any point of the start.

        Args:
            tell: called with a text about what takes time.

        Returns:
            Whether anything had been started.

        Raises:
            InfrastructureError: a process could not be ended.
        """
        # A signal that comes meanwhile must not break it off.
        with deferred_signals(), self._locked, ExitStack() as steps:
            # They run from the last one to the first one, whatever happens in between.
            steps.callback(self._close_broker, tell)
            if self._is_alone:
                # A signal may have come before all of it was ended at the start.
                steps.callback(self._end_left_commands, tell)
            if self._installation is not None:
                steps.callback(self._installation.close, tell)
            if self._supervisor is not None:
                kept: list[Child] = [] if self._broker is None else [self._broker]
                steps.callback(self._supervisor.close, tell, keep=kept)
            steps.callback(self._health.close)
            if self._kafka is not None:
                steps.callback(self._kafka.close)
            if self._feed is not None:
                steps.callback(self._feed.close)
        return self._supervisor is not None or self._broker is not None

    @property
    def _look_with(self) -> str:
        return "" if self._installation is None else looked_at_with(self._user, self._settings, "status")

    def _end_leftovers(self, tell: Tell) -> None:
        """End what an earlier one that was killed has left, whatever this one would start itself.

        Its broker is wanted, unless another one is set now.
        """
        self._end_left_commands(tell)
        if self._user.bootstrap_servers is not None:
            self._end_left_broker(tell)

    def _end_left_commands(self, tell: Tell) -> None:
        # The broker goes on meanwhile: each has what it needs to finish.
        for name in (SINK, WORKER):
            end_leftover(name, self._directory, tell)

    def _end_left_broker(self, tell: Tell) -> None:
        noted = self._noted_broker()
        broker = BrokerProcess(data_dir(self._user), cache_dir(self._user))
        if noted is not None and broker.found() == noted:
            tell(f"Ending the broker that an earlier `consolidator up` has left (process {noted})")
            broker.stop(tell)
        self._mark.unlink(missing_ok=True)

    def _open_broker(self, tell: Tell) -> str:
        if self._user.bootstrap_servers is not None:
            connection = connection_of(self._settings)
            require_listener(Servers(connection.bootstrap_servers, connection.servers_from))
            return connection.bootstrap_servers
        broker = BrokerProcess(data_dir(self._user), cache_dir(self._user))
        found = broker.found()
        # One that runs already is somebody's, unless a supervisor that was killed had started it.
        self._keeps_broker = found is not None and self._noted_broker() != found
        self._broker = broker
        servers = broker.open(tell)
        self._note_broker()
        return servers

    def _open_topics(self, tell: Tell) -> None:
        if self._installation is not None:
            self._installation.prepare(tell)
            return
        tell("Creating the topics that are missing")
        declared, config = topics_of(self._settings), connection_of(self._settings).librdkafka()
        require_permissions([*inspection(declared)], config)
        apply(declared, config)

    def _close_broker(self, tell: Tell) -> None:
        if self._broker is None and self._is_alone:
            # It ended before it came to the broker that an earlier one has left.
            self._end_left_broker(tell)
        if self._broker is None or self._keeps_broker:
            return
        tell("Stopping the broker")
        self._broker.stop(tell)
        self._mark.unlink(missing_ok=True)

    def _noted_broker(self) -> int | None:
        with suppress(OSError, ValueError):
            return int(self._mark.read_text(encoding="ascii"))
        return None

    def _note_broker(self) -> None:
        """Note that this one has started the broker, for the case that it is killed."""
        pid = None if self._broker is None or self._keeps_broker else self._broker.pid
        if pid is not None and pid != self._noted:
            self._noted = pid
            # Without the note, the next one would leave the broker running, which is no reason to end.
            with suppress(OSError):
                self._mark.write_text(f"{pid}\n", encoding="ascii")


def _day_of(feed: DayFeed | None) -> str:
    if feed is None:
        return ""
    text = f"{feed.published:,} of {feed.total:,} events published"
    if feed.is_over:
        return f"{text}: the day is over"
    return f"{text}; waiting: {feed.error}" if feed.error else text


def end_with_terminal() -> None:
    """Let SIGHUP, which a closed terminal sends, do what SIGTERM does: otherwise the children would stay behind."""
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda *_: signal.raise_signal(signal.SIGTERM))
