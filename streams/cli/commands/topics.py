"""``consolidator topics``."""

from collections.abc import Collection

import click

from models.errors import ConsolidatorError
from streams.cli.kafka import connection_of
from streams.cli.options import alter_option, format_option, principal_option, role_option, servers_option, yes_option
from streams.cli.output.console import note, print_json, print_rows, say, told_progress
from streams.configuration.connection import topics_of
from streams.configuration.settings import Settings, load_settings
from streams.rulesets.binding import bind as bind_topics
from streams.rulesets.binding import bound_to, require_no_members
from streams.runtime.exit_codes import FOUND
from topics.cluster.authorization import require_permissions
from topics.cluster.provisioning import apply as apply_topics
from topics.cluster.provisioning import check as check_topics
from topics.cluster.provisioning import existing, require
from topics.cluster.provisioning import mend as mend_topics
from topics.contract.declared import Topic, Topics
from topics.contract.drift import Drift, may_be_altered
from topics.contract.permissions import Permission, Role, inspection, permissions
from topics.records.bindings import Binding

# The command shows the declaration. A broker that does not answer should not delay it for long.
_LIST_TIMEOUT_S = 3.0


@click.group(
    epilog="""\b
Examples:
  consolidator topics apply
  consolidator topics check --format json
  consolidator topics list
  consolidator topics acls --role worker --principal User:consolidator
  consolidator topics bind
"""
)
def topics() -> None:
    """Create, check and list the topics, who has to be permitted what, and to whom they belong."""


@topics.command(
    epilog="""\b
Examples:
  CONSOLIDATOR_PARTITIONS=12 consolidator topics apply
  consolidator topics apply --alter
  consolidator topics apply --alter --yes

Exit codes: 0 done, or (dry run) printed what would be done; 2 wrong settings, or a topic is not as declared;
3 Kafka failed.
"""
)
@alter_option
@yes_option
@servers_option
@format_option
def apply(*, altering: bool, yes: bool, bootstrap_servers: str | None, output_format: str) -> None:
    """Create the topics that are missing. Existing ones are altered with --alter only.

    Where an existing topic is not as declared, nothing is created: each setting is named with what to do, and the exit
    code is 2. Without KAFKA_BOOTSTRAP_SERVERS the embedded broker is started.

    --alter is a dry run unless --yes is given. Settings by which records would go, or go sooner, than now are left to
    you, as are partitions and replicas: for these the exit code stays 2, and nothing is altered or created.

    JSON is one object a line: topic, state (created, unchanged) and partitions; with --alter topic, setting, expected,
    actual and action (altered, would_alter) before them.
    """
    if yes and not altering:
        raise click.UsageError("--yes has a meaning only with --alter")
    settings = load_settings(bootstrap_servers=bootstrap_servers)
    declared = topics_of(settings)
    with told_progress() as tell:
        connection = connection_of(settings, start_broker=True, on_progress=tell)
    require_permissions([*inspection(declared)], connection.librdkafka())
    if altering:
        found = mend_topics(declared, connection.librdkafka(), alter_them=yes)
        for drift in found:
            _tell_altered(drift, done=yes, output_format=output_format)
        if not yes:
            note("nothing was changed; --yes does it" if found else "there is nothing to alter")
            return
    created = apply_topics(declared, connection.librdkafka())
    for topic in declared:
        state = "created" if topic.name in created else "unchanged"
        if output_format == "json":
            print_json({"topic": topic.name, "state": state, "partitions": declared.partitions})
        else:
            say(f"{state:<10} {topic.name} ({declared.partitions} partitions)")


def _tell_altered(drift: Drift, *, done: bool, output_format: str) -> None:
    if output_format == "json":
        members = {"topic": drift.topic, "setting": drift.setting, "expected": drift.expected, "actual": drift.actual}
        print_json(members | {"action": "altered" if done else "would_alter"})
    else:
        say(f"{'altered' if done else 'to alter':<10} {drift.topic}: {drift.setting} {drift.actual} → {drift.expected}")


@topics.command(epilog="Example: consolidator topics check && consolidator run")
@servers_option
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
            say(str(drift))
    if output_format == "table":
        for remedy in dict.fromkeys(drift.remedy() for drift in found):
            note(f"to do: {remedy}")
        if any(may_be_altered(drift) for drift in found):
            note("or, for all by which nothing is removed: consolidator topics apply --alter")
        if not found:
            say("all topics are as declared")
    if found:
        raise SystemExit(FOUND)


@topics.command(name="list", epilog="Example: consolidator topics list --format json")
@servers_option
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
        say(f"{topic.name} ({declared.partitions} partitions, {exists})")
        say(f"    key  {topic.key}")
        say(*click.wrap_text(topic.why, initial_indent="    why  ", subsequent_indent=" " * 9).split("\n"))


@topics.command(epilog="Example: consolidator topics acls --role publisher --principal User:bank-feeds --format json")
@role_option
@principal_option
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
    headings = ("role", "principal", "operation", "resource", "name", "pattern", "why")
    print_rows(headings, (_acl(one, principal, needed).values() for one, needed in rows))


@topics.command(
    epilog="""\b
Examples:
  consolidator topics bind
  CONSOLIDATOR_APP_ID=lending-2 consolidator topics bind --yes

Exit codes: 0 done, or (dry run) printed what would be done; 2 wrong settings, or a worker is at work; 3 Kafka failed.
"""
)
@yes_option
@servers_option
@format_option
def bind(*, yes: bool, bootstrap_servers: str | None, output_format: str) -> None:
    """Show to which application id the topics belong, and move them to that of the settings.

    A dry run unless --yes is given. The first worker binds the topics; workers of other ids are refused, as two of them
    would publish every change twice. After a move, with every worker stopped before, a worker of the new id folds
    everything from the beginning, and publishes every change once more, with the same ids. Confirm erasures of earlier
    versions first: consolidator erase --confirm-earlier.

    JSON is one object: prefix, bound_to (null: to nobody), app_id, and action (none, would_bind, bound).
    """
    settings = load_settings(bootstrap_servers=bootstrap_servers)
    declared, config = topics_of(settings), connection_of(settings).librdkafka()
    bound = bound_to(config, declared)
    before = None if bound is None else bound.app_id
    action = "none" if before == settings.app_id else "bound" if yes else "would_bind"
    if action == "bound":
        require(declared, config)
        if before is not None:
            require_no_members(config, before)
        bind_topics(config, declared, Binding(settings.app_id, settings.topic_prefix, moved_from=before))
    if output_format == "json":
        print_json({"prefix": settings.topic_prefix, "bound_to": before, "app_id": settings.app_id, "action": action})
        return
    say(f"the topics of the prefix {settings.topic_prefix!r} belong to {before or 'nobody'}")
    if action != "none":
        say(f"they {'belong to' if yes else 'would go to'} {settings.app_id}{' now' if yes else ''}")
    if action == "would_bind":
        note("nothing was changed; --yes does it")


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
        note(*f"whether the topics exist is unknown: {error}".split("\n"))
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
