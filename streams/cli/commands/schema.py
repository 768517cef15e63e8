"""``consolidator schema``: the contract as documents, JSON Schemas of records and files and AsyncAPI of the topics."""

import json
from importlib import resources
from typing import Final

import click

from streams.cli.options import format_option
from streams.cli.output.console import print_document, print_json, say

_FILES: Final = {
    "event": "lifecycle-event.accepted.json",
    "change": "factor-change.accepted.json",
    "change-produced": "factor-change.produced.json",
    "factors": "factors.accepted.json",
    "factors-produced": "factors.produced.json",
    "catalogue": "catalogue.schema.json",
    "asyncapi-publisher": "asyncapi/publisher.json",
    "asyncapi-worker": "asyncapi/worker.json",
    "asyncapi-subscriber": "asyncapi/subscriber.json",
}
"""Files in ``topics/schemas``, which is part of every installation. Contract tests compare them with the models."""


@click.command(
    epilog="""\b
Examples: consolidator schema
          consolidator schema event > lifecycle-event.json
          consolidator schema change --format json"""
)
@click.argument("name", type=click.Choice(list(_FILES)), required=False)
@format_option
def schema(name: str | None, output_format: str) -> None:
    """Print the JSON Schema or AsyncAPI document NAME, or list the names.

    Of what is published there are two schemas (draft 2020-12): what a reader has to accept, and what this version
    produces. With --format json a document is one line.
    """
    if name is None:
        for known in _FILES:
            document = json.loads(_text(known))
            title = document["title"] if "title" in document else f"AsyncAPI: {document['info']['title']}"
            if output_format == "json":
                print_json({"name": known, "title": title})
            else:
                say(f"{known:<19}  {title}")
    elif output_format == "json":
        print_json(json.loads(_text(name)))
    else:
        print_document(_text(name).removesuffix("\n"))


def _text(name: str) -> str:
    return resources.files("topics").joinpath("schemas", *_FILES[name].split("/")).read_text(encoding="utf-8")
