"""``consolidator topics``."""

from collections.abc import Collection

import click
from rich.markup import escape
from rich.table import Table

from models.errors import ConsolidatorError
from streams.cli.output.console import format_option, print_json, print_table, told_progress
from streams.configuration.connection import connection_of, topics_of
from streams.configuration.settings import Settings, load_settings
from streams.runtime.exit_codes import FOUND
from topics.cluster.authorization import require_permissions
from topics.cluster.provisioning import apply as apply_topics
from topics.cluster.provisioning import check as check_topics
from topics.cluster.provisioning import existing
from topics.contract.declared import Topic, Topics
from topics.contract.permissions import Permission, Role, inspection, permissions

# The declaration is what was asked for; a broker that is away should not delay it for long.
_LIST_TIMEOUT_S = 3.0

_servers_option = click.option("--bootstrap-servers", help="Kafka brokers; wins over KAFKA_BOOTSTRAP_SERVERS.")


@click.group(
    epilog="""\b
Examples:
  consolidator topics apply
  consolidator topics check --format json
  consolidator topics list
  consolidator topics acls --role worker --principal User:consolidator
"""
)
def topics() -> None:
    """Create, check and list the topics, and who has to be permitted what."""


@topics.command(epilog="Example: CONSOLIDATOR_PARTITIONS=12 consolidator topics apply")
@_servers_option
@format_option
def apply(bootstrap_servers: str | None, output_format: str) -> None:
    """Create the topics that are missing. Existing ones are never altered.

    Where an existing topic is not as declared, nothing is created: each setting is named with what to do, and the exit
    code is 2. Without KAFKA_BOOTSTRAP_SERVERS the embedded broker is started.
    """
    settings = load_settings(bootstrap_servers=bootstrap_servers)
    declared = topics_of(settings)
    with told_progress() as tell:
        connection = connection_of(settings, start_broker=True, on_progress=tell)
    require_permissions([*inspection(declared)], connection.librdkafka())
    created = apply_topics(declared, connection.librdkafka())
    for topic in declared:
        state = "created" if topic.name in created else "unchanged"
        if output_format == "json":
            print_json({"topic": topic.name, "state": state, "partitions": declared.partitions})
        else:
            click.echo(f"{state:<10} {topic.name} ({declared.partitions} partitions)")


@topics.command(epilog="Example: consolidator topics check && consolidator run")
@_servers_option
@format_option
def check(bootstrap_servers: str | None, output_format: str) -> None:
    """Compare the topics with their declaration: exit 0 if all is as declared, 1 if not.

    Every line names a topic, a setting, the expected and the actual value.
    """
    settings = load_settings(bootstrap_servers=bootstrap_servers)
    declared, config = topics_of(settings), connection_of(settings).librdkafka()
    require_permissions([*inspection(declared)], config)
    found = check_topics(declared, config)
    for drift in found:
        if output_format == "json":
            print_json(
                {
                    "topic": drift.topic,
                    "setting": drift.setting,
                    "expected": drift.expected,
                    "actual": drift.actual,
                    "remedy": drift.remedy(),
                }
            )
        else:
            click.echo(str(drift))
    if output_format == "table":
        for remedy in dict.fromkeys(drift.remedy() for drift in found):
            click.echo(f"to do: {remedy}", err=True)
        if not found:
            click.echo("all topics are as declared")
    if found:
        raise SystemExit(FOUND)


@topics.command(name="list", epilog="Example: consolidator topics list --format json")
@_servers_option
@format_option
def list_topics(bootstrap_servers: str | None, output_format: str) -> None:
    """Show the declared topics: keys, partitions, settings, why they are like that, and whether they exist.

    Works without a broker; whether the topics exist is unknown then.
    """
    settings = load_settings(bootstrap_servers=bootstrap_servers)
    declared = topics_of(settings)
    names = _existing(settings, declared)
    if output_format == "json":
        for topic in declared:
            print_json(_description(topic, declared, _exists(topic, names)))
        return
    for topic in declared:
        exists = {True: "exists", False: "does not exist", None: "unknown whether it exists"}[_exists(topic, names)]
        click.echo(f"{topic.name} ({declared.partitions} partitions, {exists})")
        click.echo(f"    key  {topic.key}")
        click.echo(click.wrap_text(topic.why, initial_indent="    why  ", subsequent_indent=" " * 9))


@topics.command(epilog="Example: consolidator topics acls --role publisher --principal User:bank-feeds --format json")
@click.option("--role", type=click.Choice([role.value for role in Role]), help="Only this role; all by default.")
@click.option("--principal", default="User:NAME", show_default=True, help="Whom to permit it, as Kafka writes it.")
@format_option
def acls(role: str | None, principal: str, output_format: str) -> None:
    """Show what each role has to be permitted: the least, for a cluster with access control lists.

    The names are those of the settings. Works without a broker. JSON is one object a line: role, principal,
    operation, resource_type, name, pattern and why, all as kafka-acls.sh spells them.
    """
    settings = load_settings()
    declared = topics_of(settings)
    wanted = [Role(role)] if role else [*Role]
    rows = [(one, needed) for one in wanted for needed in permissions(one, declared, settings.app_id)]
    if output_format == "json":
        for one, needed in rows:
            print_json(_acl(one, principal, needed))
        return
    table = Table("role", "principal", "operation", "resource", "name", "pattern", "why")
    for one, needed in rows:
        table.add_row(*map(escape, _acl(one, principal, needed).values()))
    print_table(table)


def _acl(role: Role, principal: str, needed: Permission) -> dict[str, str]:
    return {
        "role": role,
        "principal": principal,
        "operation": needed.operation,
        "resource_type": needed.resource,
        "name": needed.name,
        "pattern": needed.pattern,
        "why": needed.why,
    }


def _existing(settings: Settings, declared: Topics) -> Collection[str] | None:
    try:
        return existing(declared, connection_of(settings).librdkafka(), timeout_s=_LIST_TIMEOUT_S)
    except ConsolidatorError as error:
        click.echo(f"whether the topics exist is unknown: {error}", err=True)
        return None


def _exists(topic: Topic, names: Collection[str] | None) -> bool | None:
    return None if names is None else topic.name in names


def _description(topic: Topic, declared: Topics, exists: bool | None) -> dict[str, object]:  # noqa: FBT001
    return {
        "topic": topic.name,
        "key": topic.key,
        "partitions": declared.partitions,
        "replication_factor": declared.replication_factor,
        "config": dict(topic.config),
        "why": topic.why,
        "exists": exists,
    }
