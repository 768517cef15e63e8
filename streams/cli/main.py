"""The ``consolidator`` command: one module per command, loaded only when it is called.

Exit codes: 0 done; 1 done, but something was found (bad lines, drift, differences); 2 wrong usage, settings or input,
nothing was done; 3 Kafka, the disk or the network failed; 70 a mistake of this program; 130 and 143 ended by Ctrl-C and
by SIGTERM, which for ``run``, ``tail``, ``sink run``, ``canary run``, ``up`` and ``status --watch`` is 0; 141 nobody
reads stdout any more.
"""

import sys
from importlib import import_module
from typing import NoReturn

import click

from streams.cli.ends import run_program
from streams.cli.output.console import say

# name -> (module below streams.cli.commands, attribute, one line of help)
COMMANDS = {
    "demo": ("demo", "demo", "Show the whole system at work on a real broker, in a minute."),
    "up": ("up", "up", "Run everything on one machine: broker, topics, worker and sink."),
    "run": ("run", "run", "Run a worker."),
    "status": ("status", "status", "Show whether it is well: workers, partitions, lag, dead letters, sinks."),
    "doctor": ("doctor", "doctor", "Say what is wrong, how bad it is, and what to do."),
    "support-bundle": ("support_bundle", "support_bundle", "Write what a helper needs to know into one file."),
    "topics": ("topics", "topics", "Create, check and list the topics; list the permissions."),
    "broker": ("broker", "broker", "Start, stop and inspect the embedded Kafka broker."),
    "publish": ("publish", "publish", "Publish lifecycle events from JSON Lines."),
    "tail": ("tail", "tail", "Print records of a topic as they arrive."),
    "factors": ("factors", "factors", "Show an application's factors, now or at a past moment, and why."),
    "history": ("history", "history", "Show the whole timeline of an application."),
    "evidence": ("evidence", "evidence", "Collect and check what proves an application's factors."),
    "erase": ("erase", "erase", "Erase everything about an application."),
    "dlq": ("dlq", "dlq", "List, show and redrive dead letters."),
    "sink": ("sink", "sink", "Keep a database of events, factors and changes."),
    "canary": ("canary", "canary", "Try an installation end to end, with events of its own."),
    "replay": ("replay", "replay", "Fold lifecycle events again, from Kafka or a file; verify."),
    "compare": ("compare", "compare", "Run another ruleset, or the old strategy, side by side."),
    "size": ("size", "size", "Compute what an installation needs: disks, memory, cores, partitions."),
    "catalogue": ("catalogue", "catalogue", "Check and show the processor catalogue."),
    "schema": ("schema", "schema", "Print the JSON Schemas of events, changes, factors and catalogues."),
    "version": ("version", "version", "Print the version."),
}


class LazyGroup(click.Group):
    """A group that imports a command's module only when that command is wanted: ``--help`` stays instant."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """The names of all commands, in the order in which the help lists them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Import a command's module, and return the command."""
        if cmd_name not in COMMANDS:
            return None
        module, attribute, _ = COMMANDS[cmd_name]
        command: click.Command = getattr(import_module(f"streams.cli.commands.{module}"), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List the commands from the table above, without importing any of them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, _, text) in COMMANDS.items()])


def _print_version(context: click.Context, _option: click.Parameter, wanted: bool) -> None:  # noqa: FBT001 - click's
    if wanted and not context.resilient_parsing:
        # Imported here, because only one option needs it, and it imports many packages.
        from importlib.metadata import version  # noqa: PLC0415

        say(f"consolidator {version('factor-consolidator')}")
        context.exit()


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="Start with: consolidator demo. Completion: docs/commands.md",
)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version, help="The version."
)
def cli() -> None:
    """Turn execution lifecycle events into consolidated factors, and prove every one of them.

    Settings come from the environment (KAFKA_BOOTSTRAP_SERVERS, CONSOLIDATOR_*) and from flags, which win.

    Exit codes: 0 done; 1 done, but something was found (bad lines, drift, differences); 2 wrong usage, settings or
    input, nothing was done; 3 Kafka, the disk or the network failed; 70 a mistake of this program, which is written
    down; 130 and 143 ended by Ctrl-C and by SIGTERM (0 for run, tail, sink run, canary run, up and status --watch,
    which end so); 141 nobody reads stdout any more.
    """


def main() -> NoReturn:
    """Run the command line and exit: see :func:`streams.cli.ends.run_program`."""
    run_program(cli, sys.argv[1:])
