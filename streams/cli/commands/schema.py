"""``consolidator schema``: the JSON Schemas of what is in the topics and in a catalogue file."""

import json
from importlib import resources
from typing import Final

import click

from streams.cli.options import format_option
from streams.cli.output.console import print_document, print_json, say

_FILES: Final = {
    "event": "lifecycle-event.schema.json",
    "change": "factor-change.schema.json",
    "factors": "factors.schema.json",
    "catalogue": "catalogue.schema.json",
}
"""Files in ``topics/schemas``, which is part of every installation. Contract tests compare them with the models."""


@click.command(
    epilog="""\b
Examples: consolidator schema
          consolidator schema event > lifecycle-event.schema.json
          consolidator schema change --format json"""
)
@click.argument("name", type=click.Choice(list(_FILES)), required=False)
@format_option
def schema(name: str | None, output_format: str) -> None:
    """Print the JSON Schema (draft 2020-12) NAME, or list the names.

    With --format json a schema is one line.
    """
    if name is None:
        for known in _FILES:
            title = json.loads(_text(known))["title"]
            if output_format == "json":
                print_json({"name": known, "title": title})
            else:
                say(f"{known:<9}  {title}")
    elif output_format == "json":
        print_json(json.loads(_text(name)))
    else:
        print_document(_text(name).removesuffix("\n"))


def _text(name: str) -> str:
    return resources.files("topics").joinpath("schemas", _FILES[name]).read_text(encoding="utf-8")
