"""The message that an application was erased, which is the same in every command."""

from typing import NoReturn

from streams.audit.history.answers import forgotten_members
from streams.cli.output.console import note, print_json
from streams.runtime.exit_codes import FOUND
from topics.records.erasures import Forgotten

__all__ = ["nothing_but_erased"]


def nothing_but_erased(application_id: str, topic: str, forgotten: Forgotten, output_format: str) -> NoReturn:
    """Print that there is nothing to show because the application was erased, and end with exit code 1.

    Args:
        application_id: the application.
        topic: ``executions``, in which the erasure stands.
        forgotten: its last erasure.
        output_format: ``json``: as an object on stdout as well.
    """
    if output_format == "json":
        print_json({"application_id": application_id, "erased": forgotten_members(topic, forgotten)})
    note(f"application {application_id}: {forgotten} of {topic}. What is from before the erasure is not shown")
    raise SystemExit(FOUND)
