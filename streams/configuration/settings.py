"""Settings: environment variables, overridden by flags, refused by name when wrong.

Every field is documented in its description; ``docs/settings.md`` is generated from them. Commands, the worker's runner
and application, and the demonstration read settings: the other modules take plain arguments.
"""

import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, get_args

from pydantic import AliasChoices, Field, PrivateAttr, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from consolidator.connecting.arguments import PREFIX_PATTERN
from consolidator.connecting.quoting import shown
from consolidator.connecting.secret_files import FILE_SUFFIX, secrets_from_files
from consolidator.connecting.security import MECHANISMS, PROTOCOLS
from models.errors import SettingsError
from streams.configuration.values import (
    NUMBER,
    RULESET_NAME,
    WHOLE,
    Addresses,
    FilePath,
    Listening,
    StateDirectory,
    kind_of,
)
from streams.configuration.variables import misspelt, unknown
from streams.runtime.failpoints import PATTERN as FAILPOINT_PATTERN

_MEBIBYTE = 1024 * 1024


def _env(name: str, description: str, **constraints: Any) -> Any:
    return Field(validation_alias=AliasChoices(name), description=description, **constraints)


class SettingsWarning(UserWarning):
    """A variable in the environment looks like a setting and is not one."""


class Settings(BaseSettings):
    """All settings; the alias of each is its environment variable.

    Raises:
        SettingsError: from :func:`load_settings`, naming each wrong variable and why.
    """

    model_config = SettingsConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    bootstrap_servers: Addresses | None = _env(
        "KAFKA_BOOTSTRAP_SERVERS",
        "Kafka brokers as host:port, comma-separated. Unset: the embedded broker under the state directory is used.",
        default=None,
    )
    state_dir: StateDirectory = _env(
        "CONSOLIDATOR_STATE_DIR",
        "Everything kept on disk lies under it: RocksDB state, the embedded broker's data, downloaded Kafka jars.",
        default=Path("~/.local/state/consolidator"),
    )
    catalogue: FilePath | None = _env(
        "CONSOLIDATOR_CATALOGUE",
        "The processor catalogue, a TOML or JSON file. Unset: the built-in sample catalogue.",
        default=None,
    )
    app_id: str = _env(
        "CONSOLIDATOR_APP_ID",
        "The consumer group's id, verbatim, and the prefix of the changelog topic and the transactional ids.",
        default="consolidator",
        pattern=r"^[a-zA-Z0-9._-]{1,200}$",
    )
    partitions: Annotated[int, Field(ge=1, le=10_000), WHOLE] = _env(
        "CONSOLIDATOR_PARTITIONS",
        "Partitions of every topic, fixed for the topics' life.",
        default=4,
    )
    replication_factor: Annotated[int, Field(ge=1, le=32_767), WHOLE] = _env(
        "CONSOLIDATOR_REPLICATION_FACTOR",
        "Replicas of every topic partition; 3 for production.",
        default=1,
    )
    topic_prefix: str = _env(
        "CONSOLIDATOR_TOPIC_PREFIX",
        "Put before every topic name, for several environments on one cluster.",
        default="",
        pattern=PREFIX_PATTERN,
    )
    audit_window_days: Annotated[int, Field(ge=0), WHOLE] = _env(
        "CONSOLIDATOR_AUDIT_WINDOW_DAYS",
        "Days within which compaction removes nothing from executions and factor-changes (min.compaction.lag.ms). "
        "The default is 25 months, after 12 CFR 1002.12(b).",
        default=761,
    )
    max_event_bytes: Annotated[int, Field(ge=1_024, le=_MEBIBYTE), WHOLE] = _env(
        "CONSOLIDATOR_MAX_EVENT_BYTES",
        "A larger event becomes a dead letter. Bytes.",
        default=256 * 1024,
    )
    batch_events: Annotated[int, Field(ge=1, le=100_000), WHOLE] = _env(
        "CONSOLIDATOR_BATCH_EVENTS",
        "Most events of one partition in one transaction. A worker with more than two partitions takes fewer of each, "
        "as they are in memory together: 16,000 of all of them, but no fewer than 1,000 of one.",
        default=8_000,
    )
    processes: Annotated[int, Field(ge=1, le=64), WHOLE] = _env(
        "CONSOLIDATOR_PROCESSES",
        "Workers under one command, each a process and a member of the group. One keeps about one core busy; more than "
        "there are partitions have nothing to do.",
        default=1,
    )
    adopt_ruleset: str | None = _env(
        "CONSOLIDATOR_ADOPT_RULESET",
        "NAME/VERSION of the catalogue. Partitions that were folded with another one go over to it: each at one record "
        "of the source, with a change for every result that differs. Otherwise the worker refuses them. It has to be "
        "what the catalogue calls itself: left set, it adopts no other one.",
        default=None,
        pattern=RULESET_NAME,
    )
    session_timeout_s: Annotated[float, Field(ge=1, le=600), NUMBER] = _env(
        "CONSOLIDATOR_SESSION_TIMEOUT_S",
        "Seconds without a heartbeat after which the group gives a worker's partitions to another.",
        default=10.0,
    )
    broker_patience_s: Annotated[float, Field(ge=10, le=900), NUMBER] = _env(
        "CONSOLIDATOR_BROKER_PATIENCE_S",
        "Seconds that a transaction waits for brokers that are down, before the worker ends with exit code 3. "
        "It is the transactions' timeout too, and must not exceed the brokers' transaction.max.timeout.ms.",
        default=300.0,
    )
    instance_id: str | None = _env(
        "CONSOLIDATOR_INSTANCE_ID",
        "Static group membership (group.instance.id): a restarted worker gets its partitions back at once. Each worker "
        "needs an id of its own: of two with the same one, the first ends when the second joins. Of several processes "
        "each appends its number: ID-0, ID-1.",
        default=None,
        pattern=r"^[a-zA-Z0-9._-]{1,200}$",
    )
    standby_replicas: Annotated[int, Field(ge=0, le=4), WHOLE] = _env(
        "CONSOLIDATOR_STANDBY_REPLICAS",
        "Copies of each partition's state that other workers keep warm.",
        default=0,
    )
    sink_url: SecretStr | None = _env(
        "CONSOLIDATOR_SINK_URL",
        "The database of `consolidator sink`, which `factors` and `history` read as well: sqlite:///FILE or "
        "postgresql://USER:PASSWORD@HOST:PORT/DATABASE. Unset: sink/model.db under the state directory.",
        default=None,
    )
    log_level: Annotated[str, Field(pattern=r"^(debug|info|warning|error)$")] = _env(
        "CONSOLIDATOR_LOG_LEVEL",
        "debug, info, warning or error.",
        default="info",
    )
    log_format: Annotated[str, Field(pattern=r"^(auto|json|text)$")] = _env(
        "CONSOLIDATOR_LOG_FORMAT",
        "json, text, or auto: text on a terminal, JSON elsewhere.",
        default="auto",
    )
    health_address: Listening | None = _env(
        "CONSOLIDATOR_HEALTH_ADDRESS",
        "host:port at which `run` and `sink run` answer GET /livez, /readyz and /metrics (docs/health.md), without "
        "authentication: they name partitions, processors and counts, and no value. One address for all processes of a "
        "command; port 0: any free one, which the log names. Unset: nothing listens.",
        default=None,
    )
    failpoint: str | None = _env(
        "CONSOLIDATOR_FAILPOINT",
        "For fault tests only: where a worker kills or stops itself, as PLACE:ACTION:N (at the N-th passing). "
        "docs/decisions/0006-fault-harness.md tells the places.",
        default=None,
        pattern=FAILPOINT_PATTERN,
    )
    security_protocol: Annotated[str, Field(pattern=f"^({'|'.join(PROTOCOLS)})$")] = _env(
        "KAFKA_SECURITY_PROTOCOL",
        "PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL.",
        default="PLAINTEXT",
    )
    sasl_mechanism: Annotated[str, Field(pattern=f"^({'|'.join(MECHANISMS)})$")] = _env(
        "KAFKA_SASL_MECHANISM",
        "PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512.",
        default="SCRAM-SHA-512",
    )
    sasl_username: str | None = _env("KAFKA_SASL_USERNAME", "User for SASL.", default=None)
    sasl_password: SecretStr | None = _env("KAFKA_SASL_PASSWORD", "Password for SASL.", default=None)
    ssl_ca_location: FilePath | None = _env("KAFKA_SSL_CA_LOCATION", "CA certificate file (PEM).", default=None)
    ssl_certificate_location: FilePath | None = _env(
        "KAFKA_SSL_CERTIFICATE_LOCATION", "Client certificate file (PEM).", default=None
    )
    ssl_key_location: FilePath | None = _env("KAFKA_SSL_KEY_LOCATION", "Client key file (PEM).", default=None)
    ssl_key_password: SecretStr | None = _env(
        "KAFKA_SSL_KEY_PASSWORD", "Password of the client key file. Unset: the key is not encrypted.", default=None
    )
    _flags: frozenset[str] = PrivateAttr(default=frozenset())
    """The fields that a flag gave."""
    _files: frozenset[str] = PrivateAttr(default=frozenset())
    """The fields whose values came from a file."""


SECRETS: Final = tuple(
    name
    for name, field in Settings.model_fields.items()
    if SecretStr in (field.annotation, *get_args(field.annotation))
)
"""The fields that are secrets. Each may be in a file, whose path is in the variable with the suffix ``_FILE``."""


def load_settings(**overrides: Any) -> Settings:
    """Read the environment and the files of secrets; a flag that was given (not None) wins over its variable.

    Warns:
        SettingsWarning: once, naming the variables that are no settings.

    Raises:
        SettingsError: the message names every wrong setting, its value unless it is a secret, and the allowed values;
            and every variable whose name is nearly a setting's.
    """
    given = {name: value for name, value in overrides.items() if value is not None}
    fields = {variable_of(field): field for field in SECRETS if field not in given}
    secrets, wrong = secrets_from_files(os.environ, fields)
    problems = [*_misspelt(), *wrong.values()]
    from_files: dict[str, Any] = {fields[variable]: SecretStr(secret) for variable, secret in secrets.items()}
    try:
        settings = Settings(**given, **from_files)
    except ValidationError as error:
        problems += [_in_words(problem, given) for problem in error.errors(include_url=False)]
    if problems:
        raise SettingsError("; ".join(problems)) from None
    settings._flags = frozenset(given)  # noqa: SLF001 - its only writer
    settings._files = frozenset(from_files)  # noqa: SLF001 - its only writer
    return settings


def name_of(settings: Settings, field: str) -> str:
    """The source of a setting's value, for messages: the flag, or the environment variable."""
    if field in settings._flags:  # noqa: SLF001 - its only reader
        return _flag(field)
    suffix = FILE_SUFFIX if field in settings._files else ""  # noqa: SLF001 - its only reader
    return f"{variable_of(field)}{suffix}"


def _misspelt() -> list[str]:
    known = [variable_of(field) for field in Settings.model_fields]
    known += [f"{variable_of(field)}{FILE_SUFFIX}" for field in SECRETS]
    wrong = misspelt(os.environ, known)
    ignored = [name for name in unknown(os.environ, known) if name not in wrong]
    if ignored:
        warnings.warn(f"no settings, and ignored: {', '.join(ignored)}", SettingsWarning, stacklevel=3)
    return [f"{name} is no setting: {near} is meant" for name, near in wrong.items()]


def _in_words(problem: Any, given: Mapping[str, Any]) -> str:
    variable = str(problem["loc"][0])
    field = next(name for name in Settings.model_fields if variable in {name, variable_of(name)})
    schema = Settings.model_json_schema(by_alias=False)["properties"][field]
    name = _flag(field) if field in given else variable_of(field)
    words = problem.get("ctx", {}).get("words")
    # The value of one of these may be a password that was put into the wrong variable.
    is_secret = variable_of(field).startswith(("KAFKA_SASL_", "KAFKA_SSL_")) or field in SECRETS
    if words or is_secret:
        return f"{name}: {words or kind_of(schema)}"
    return f"{name} is {shown(problem['input'])}: {kind_of(schema)}"


def _flag(field: str) -> str:
    return f"--{field.replace('_', '-')}"


def variable_of(field_or_alias: str) -> str:
    """The environment variable of a field of :class:`Settings`, for messages."""
    field = Settings.model_fields.get(field_or_alias)
    if field is None or not isinstance(field.validation_alias, AliasChoices):
        return field_or_alias
    return str(field.validation_alias.choices[0])
