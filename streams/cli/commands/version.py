"""``consolidator version``."""

import platform
from importlib.metadata import version as version_of

import click
from confluent_kafka import libversion

from streams.cli.options import format_option
from streams.cli.output.console import print_json, say
from streams.core.compiled import is_compiled

_COMPONENTS = ("faust-streaming", "aiokafka", "confluent-kafka", "rocksdict", "pydantic")


@click.command(epilog="Example: consolidator version --format json")
@format_option
def version(output_format: str) -> None:
    """Print the version of consolidator and of what it stands on."""
    versions = {"consolidator": version_of("factor-consolidator"), "python": platform.python_version()}
    versions |= {name: version_of(name) for name in _COMPONENTS}
    versions["librdkafka"] = libversion()[0]
    versions["compiled"] = "yes" if is_compiled() else "no"
    if output_format == "json":
        print_json(versions)
        return
    for name, number in versions.items():
        say(f"{name:<16} {number}")
