"""Every option of the command line, each declared once; the commands use them (``tests/unit/cli/test_options.py``).

An option has the same meaning and type in every command. If a command needs another meaning under the same name, that
option is declared here as well, and the test names it.
"""

from pathlib import Path
from typing import Final

import click

from models.errors import Defect
from streams.cli.option_types import AddressType, AmountType, CountType, MomentType, SealType, StartType, TimezoneType
from topics.contract.permissions import Role

_FILE: Final = click.Path(path_type=Path)
_NEW_FILE: Final = click.Path(path_type=Path, dir_okay=False)
_DIRECTORY: Final = click.Path(path_type=Path, file_okay=False)

_MOST_LAST: Final = 100_000
"""The greatest number for ``--last``; these records are in memory together."""

_MOST_APPLICATIONS: Final = 10_000
"""The greatest number of applications of a demonstration. For more there is a benchmark, benchmarks/throughput.py."""

_MOST_A_DAY: Final = 10**12
"""The greatest number of events of a day; ten million times what one core can fold."""

_MOST_EVENT_BYTES: Final = 1024 * 1024
"""What CONSOLIDATOR_MAX_EVENT_BYTES can be set to."""

_RANGE: Final = "PARTITION:OFFSET may be given several times, and chooses its partitions; TIME is the broker's clock."

# -- what most commands have

servers_option = click.option("--bootstrap-servers", help="Kafka brokers; wins over KAFKA_BOOTSTRAP_SERVERS.")
catalogue_option = click.option("--catalogue", type=_FILE, help="Processor catalogue file. [CONSOLIDATOR_CATALOGUE]")
format_option = click.option(
    "--format",
    "output_format",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="table for people, json (one object a line) for programs.",
)
yes_option = click.option("--yes", is_flag=True, help="Do it. Without it, the command only prints what it would do.")

# -- which records

application_option = click.option("--application", help="Only what is about this application.")
processor_option = click.option("--processor", help="Only what is about this processor.")
reason_option = click.option(
    "--reason",
    "reasons",
    multiple=True,
    type=click.Choice(list(map(str, Defect))),
    help="Only dead letters of this error class; may be given several times.",
)
limit_option = click.option("--limit", type=CountType(), help="Stop after so many.")
last_option = click.option(
    "--last",
    type=CountType(1, _MOST_LAST),
    help="Begin with the last so many records, of all partitions together, by the broker's clock.",
)
until_end_option = click.option(
    "--until-end", is_flag=True, help="Stop at the end of the topic as it is now, instead of following it."
)
from_end_option, from_beginning_option = (
    click.option(
        "--from",
        "start",
        type=StartType(),
        default=default,
        show_default=True,
        help="Where to start. TIME is RFC 3339 with its offset from UTC and is compared with the time at which the "
        "broker took a record; PARTITION:OFFSET reads that partition only.",
    )
    for default in ("end", "beginning")
)
from_bounds_option = click.option(
    "--from",
    "starts",
    type=StartType(),
    multiple=True,
    help=f"Show, or verify, what was caused from here on; the events before it are folded all the same. {_RANGE}",
)
to_bounds_option = click.option(
    "--to",
    "ends",
    type=StartType(),
    multiple=True,
    help=f"Fold up to, and without, this. {_RANGE} Default: the end.",
)
input_option = click.option(
    "--input", "file", metavar="FILE|-", help="JSON Lines of events instead of Kafka; - reads stdin."
)

# -- run

app_id_option = click.option("--app-id", help="Consumer group's id and changelog prefix. [CONSOLIDATOR_APP_ID]")
state_dir_option = click.option("--state-dir", type=_FILE, help="Where state is kept. [CONSOLIDATOR_STATE_DIR]")
instance_id_option = click.option("--instance-id", help="Static group membership. [CONSOLIDATOR_INSTANCE_ID]")
processes_option = click.option(
    "--processes", type=CountType(1, 64), help="Workers, each a process of its own. [CONSOLIDATOR_PROCESSES]"
)
adopt_ruleset_option = click.option(
    "--adopt-ruleset",
    metavar="NAME/VERSION",
    help="Partitions that were folded with another catalogue go over to this one. [CONSOLIDATOR_ADOPT_RULESET]",
)
url_option = click.option(
    "--url",
    metavar="URL",
    help="sqlite:///FILE or postgresql://USER@HOST:PORT/DATABASE. With a password set the variable, or its _FILE: a "
    "command line can be read by others. [CONSOLIDATOR_SINK_URL]",
)
switch_option = click.option(
    "--switch",
    "switched",
    is_flag=True,
    help="Let the new tables take the old ones' place. Without it, the command only builds and compares.",
)
back_option = click.option(
    "--back", is_flag=True, help="Let the tables of before the last switch take their place again; builds nothing."
)
restart_option = click.option(
    "--restart", is_flag=True, help="Begin at the beginning: drop what a rebuild that was broken off has built."
)
log_level_option = click.option("--log-level", help="debug, info, warning or error. [CONSOLIDATOR_LOG_LEVEL]")
log_format_option = click.option("--log-format", help="json, text or auto. [CONSOLIDATOR_LOG_FORMAT]")

# -- status, doctor, support-bundle

health_option = click.option(
    "--health",
    multiple=True,
    type=AddressType(),
    help="Ask this worker or sink as well how it is; may be given several times. [CONSOLIDATOR_HEALTH_ADDRESS]",
)
watch_option = click.option("--watch", is_flag=True, help="Show it again and again, until Ctrl-C.")
every_option = click.option(
    "--every",
    type=AmountType(1, 3_600),
    default=5.0,
    show_default=True,
    help="With --watch: seconds between two looks.",
)
try_transaction_option = click.option(
    "--try-transaction",
    "tries",
    is_flag=True,
    help="Open a transaction, have offsets of a generation that there is not refused, and abort it. It needs Write on "
    "the transactional id, and Read on the group, <app id>-doctor.",
)
log_option = click.option("--log", type=_FILE, help="Put the end of this log file in as well; ids stand in a log.")

# -- topics, broker

alter_option = click.option(
    "--alter", "altering", is_flag=True, help="Set existing topics right where nothing in them is removed by that."
)
role_option = click.option(
    "--role", type=click.Choice([role.value for role in Role]), help="Only this role; all by default."
)
principal_option = click.option(
    "--principal", default="User:NAME", show_default=True, help="Whom to permit it, as Kafka writes it."
)
port_option = click.option(
    "--port",
    type=CountType(1, 65_535),
    help="The port on 127.0.0.1. Left out: the one of the last start if it is free, else a free one.",
)

# -- publish

skip_invalid_option = click.option(
    "--skip-invalid", is_flag=True, help="Publish the good lines although there are bad ones."
)
dry_run_option = click.option("--dry-run", is_flag=True, help="Check every line and publish nothing; needs no Kafka.")
strict_option = click.option("--strict", is_flag=True, help="Publish nothing where a line looks mistyped.")

# -- factors, history, evidence

why_option = click.option(
    "--why",
    is_flag=True,
    help="The calculation of each factor, who contributed, failed or was rejected, and what changed last.",
)
at_option = click.option(
    "--at", type=MomentType(times=True), help="As of a time (RFC 3339), it included, or the end of a day."
)
at_offset_option = click.option(
    "--at-offset", type=MomentType(offsets=True), help="As of an offset of executions, its record included."
)
as_of_option = click.option(
    "--as-of",
    "sense",
    type=click.Choice(["known", "true"]),
    default="known",
    show_default=True,
    help="known: what the log held then, by the broker's clock. true: what had happened by --at, by the producers' "
    "clocks, of all that the log holds now, or held at --at-offset.",
)
compare_option = click.option(
    "--compare",
    type=MomentType(times=True, offsets=True, now=True),
    help="Show what differs between then and this moment.",
)
timezone_option = click.option(
    "--timezone", type=TimezoneType(), help="Where a DATE is a day: UTC, +01:00, Europe/Berlin."
)
source_option = click.option(
    "--source",
    type=click.Choice(["auto", "kafka", "sql"]),
    default="auto",
    show_default=True,
    help="Where the answer is read; it is the same. sql: the database of CONSOLIDATOR_SINK_URL, or of `sink run` under "
    "the state directory. auto: the database if it has the answer and --bootstrap-servers is not given, else kafka.",
)
order_option = click.option(
    "--order",
    type=click.Choice(["log", "occurred"]),
    default="log",
    show_default=True,
    help="log: as the broker took them. occurred: as they happened, by their producers' clocks.",
)
out_option = click.option("--out", "directory", type=_DIRECTORY, required=True, help="A new or empty directory.")
seal_option = click.option(
    "--seal", type=SealType(), help="What it was when the evidence was collected: 64 hexadecimal digits."
)

# -- replay, compare

verify_option = click.option("--verify", is_flag=True, help="Compare with what was published, record by record.")
show_option = click.option(
    "--show",
    type=click.Choice(["factors", "changes"]),
    default="factors",
    show_default=True,
    help="What the pairs come to, or every change on the way.",
)
parquet_format_option = click.option(
    "--format",
    "output_format",
    type=click.Choice(["table", "json", "parquet"]),
    help="table for people, json (one object a line) or parquet for programs.  [default: table on a terminal and with "
    "--input, else json]",
)
output_option = click.option("--output", type=_NEW_FILE, help="The file that parquet is written to.")
summary_option = click.option(
    "--summary", type=_NEW_FILE, help="Write the offsets that this stands on, and the digests, to a JSON file too."
)
new_catalogue_option = click.option(
    "--catalogue", "new", type=_FILE, help="The new catalogue file; compared with the current one."
)
strategy_option = click.option(
    "--strategy",
    type=click.Choice(["legacy"]),
    help="The old platform's strategy, which left failed executions out; the current catalogue is compared with it.",
)
current_option = click.option(
    "--current",
    type=_FILE,
    help="The catalogue to compare with. Default: what the live partitions have; with --input, or where nothing was "
    "consolidated yet, CONSOLIDATOR_CATALOGUE.",
)
max_unexpected_option = click.option(
    "--max-unexpected",
    type=CountType(0),
    default=0,
    show_default=True,
    help="Go only if at most so many pairs differ in a way that no changed rule explains.",
)
max_different_option = click.option(
    "--max-different",
    type=AmountType(0, 100),
    help="Go only if at most so many percent of all pairs differ. Default: 50 with --catalogue, 100 with --strategy.",
)
drop_option = click.option(
    "--drop", "dropped", multiple=True, metavar="PROCESSOR", help="NEW is meant to lack this processor."
)
examples_option = click.option(
    "--examples",
    type=CountType(0),
    default=3,
    show_default=True,
    help="Pairs shown for each rule, and of those that differ unexpectedly.",
)

# -- dlq, erase

raw_option = click.option(
    "--raw", is_flag=True, help="Write the original value to stdout, byte for byte, and nothing else."
)
all_option = click.option("--all", "everything", is_flag=True, help="All letters.")
again_option = click.option("--again", is_flag=True, help="Try once more, too, what came back from an earlier redrive.")
lift_option = click.option(
    "--lift", is_flag=True, help="Accept events of the application again; what was erased stays erased."
)
confirm_earlier_option = click.option(
    "--confirm-earlier",
    is_flag=True,
    help="After an upgrade, instead of an APPLICATION: confirm the erasures of versions that wrote no entries.",
)
timeout_option = click.option(
    "--timeout",
    type=AmountType(1, 86_400),
    default=60.0,
    show_default=True,
    help="Seconds to wait for the workers to take the erasure in.",
)

# -- canary

rounds_option = click.option("--rounds", type=CountType(), help="End after so many rounds. Default: at a signal.")
interval_option = click.option(
    "--interval",
    type=AmountType(0, 86_400),
    default=60.0,
    show_default=True,
    help="Seconds from the beginning of a round to that of the next.",
)
lost_after_option = click.option(
    "--lost-after",
    type=AmountType(1, 3_600),
    default=30.0,
    show_default=True,
    help="Seconds after which a round whose change cannot be read is lost.",
)
metrics_file_option = click.option(
    "--metrics-file",
    type=_NEW_FILE,
    help="Write metrics to a file for node_exporter's textfile collector; replaced as a whole.",
)

# -- demo

keep_option = click.option(
    "--keep", is_flag=True, help="Leave topics, worker and broker as they are at the end, to look around."
)
clean_option = click.option(
    "--clean", is_flag=True, help="Take away what earlier ones with --keep have left, and do nothing else."
)
applications_option = click.option(
    "--applications",
    type=CountType(1, _MOST_APPLICATIONS),
    default=300,
    show_default=True,
    help="How many applications the invented day has.",
)
seed_option = click.option(
    "--seed", type=CountType(0), default=1, show_default=True, help="Of the invented day: the same seed, the same day."
)

# -- up

demo_option = click.option(
    "--demo", is_flag=True, help="Publish an invented day, slowly, into topics of its own that are deleted at the end."
)

# -- size

events_per_day_option = click.option(
    "--events-per-day", type=CountType(1, _MOST_A_DAY), required=True, help="Lifecycle events of a day, in the mean."
)
applications_per_day_option = click.option(
    "--applications-per-day",
    type=CountType(1, _MOST_A_DAY),
    help="New applications of a day. Default: one for every 20 events.",
)
event_bytes_option = click.option(
    "--event-bytes",
    type=CountType(1, _MOST_EVENT_BYTES),
    default=450,
    show_default=True,
    help="Bytes of an event's JSON, in the mean.",
)
retention_months_option = click.option(
    "--retention-months",
    type=CountType(1, 1_200),
    default=25,
    show_default=True,
    help="For how many months everything is kept.",
)
replicas_option = click.option(
    "--replicas", type=CountType(1, 100), default=3, show_default=True, help="Replicas of every topic, and brokers."
)
peak_factor_option = click.option(
    "--peak-factor",
    type=AmountType(1, 1_000),
    default=5.0,
    show_default=True,
    help="How many times the mean rate the busiest minutes have.",
)
