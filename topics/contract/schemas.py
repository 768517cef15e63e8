"""The JSON Schemas of the topics' records: ``python -m topics.contract.schemas topics/schemas`` writes them.

A contract test compares the committed files with :func:`published_schemas`, so a model cannot change unseen.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel

from models.contract import CurrentFactors, FactorChange, LifecycleEventContract

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
# By the name that stands in the file's name and in the schema's URN.
_MODELS: Final[Mapping[str, tuple[type[BaseModel], str]]] = {
    "factor-change": (FactorChange, "Factor change"),
    "factors": (CurrentFactors, "Current factors"),
    "lifecycle-event": (LifecycleEventContract, "Execution lifecycle event"),
}


def published_schemas() -> dict[str, str]:
    """The text of each schema (draft 2020-12), by file name."""
    return {f"{name}.schema.json": _text(name, model, title) for name, (model, title) in _MODELS.items()}


def _text(name: str, model: type[BaseModel], title: str) -> str:
    about: dict[str, Any] = {"$schema": _DIALECT, "$id": f"urn:factor-consolidator:{name}:1", "title": title}
    return json.dumps(about | {**model.model_json_schema(), "title": title}, ensure_ascii=False, indent=2) + "\n"


if __name__ == "__main__":
    for file_name, text in published_schemas().items():
        (Path(sys.argv[1]) / file_name).write_text(text, encoding="utf-8")
