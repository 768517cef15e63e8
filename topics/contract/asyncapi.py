"""The topics as AsyncAPI 3 documents: ``python -m topics.contract.asyncapi topics/schemas/asyncapi`` writes them.

An AsyncAPI document describes one application, what it sends and what it receives. So there is one for each role:
``publisher`` sends events, ``worker`` is this program, and ``subscriber`` reads what it publishes. From the last one a
consumer can be generated. Payloads are the schemas of :mod:`topics.contract.schemas` for those who read.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from consolidator.testing import encode, sample_change, sample_factors
from consolidator.version import __version__
from topics.contract.declared import Topic, Topics, declare
from topics.contract.schemas import accepted_schemas

__all__ = ["AUDIT_WINDOW_DAYS", "MAX_EVENT_BYTES", "documents"]

AUDIT_WINDOW_DAYS: Final = 761
"""The default of ``CONSOLIDATOR_AUDIT_WINDOW_DAYS``. A contract test compares it with the settings."""
MAX_EVENT_BYTES: Final = 256 * 1024
"""The default of ``CONSOLIDATOR_MAX_EVENT_BYTES``, likewise."""

_VERSION: Final = "3.0.0"
_BINDING: Final = "0.5.0"
_JSON: Final = "application/json"
_PARTITION: Final = {
    "of": "application_id",
    "function": "(murmur2(application_id in UTF-8) & 0x7fffffff) % partitions",
    "partitions": "CONSOLIDATOR_PARTITIONS: the same number for every topic, fixed for the topics' life",
}
_SETTINGS: Final = (
    "cleanup.policy",
    "retention.ms",
    "retention.bytes",
    "delete.retention.ms",
    "min.compaction.lag.ms",
    "max.message.bytes",
    "message.timestamp.type",
)
"""The settings that a reader or a writer has to know."""
_READ_COMMITTED: Final = (
    "Read with isolation.level=read_committed, which is not the default of Java's consumer: the worker publishes in "
    "transactions."
)
_ROLES: Final = {
    "publisher": ("Publisher of lifecycle events", "What a processor of the platform sends."),
    "worker": ("Factor consolidator", "What the worker receives and sends, in one transaction a batch."),
    "subscriber": ("Subscriber to factors", f"What the worker publishes, for those who read it. {_READ_COMMITTED}"),
}
_OPERATIONS: Final[Mapping[str, Mapping[str, tuple[str, str, str]]]] = {
    "publisher": {
        "sendEvent": ("send", "executions", "Publish an event, or erase one."),
    },
    "worker": {
        "receiveEvent": ("receive", "executions", "Fold events, or the erasure of one."),
        "sendFactorChange": ("send", "factorChanges", "Publish what an event changed."),
        "sendFactors": ("send", "factors", "Publish the current factors of a pair."),
        "sendDeadLetter": ("send", "deadLetters", "Put aside what cannot be folded."),
    },
    "subscriber": {
        "receiveFactorChange": ("receive", "factorChanges", "The journal: one record a change."),
        "receiveFactors": ("receive", "factors", "The current factors of every pair, to begin with."),
    },
}
"""By role: the operations, each with its action, its channel and a summary."""


def documents() -> dict[str, str]:
    """The text of each document, by file name."""
    return {f"{role}.json": json.dumps(_document(role), ensure_ascii=False, indent=2) + "\n" for role in _ROLES}


def _document(role: str) -> dict[str, Any]:
    title, description = _ROLES[role]
    names = [channel for _, channel, _ in _OPERATIONS[role].values()]
    channels = {name: channel for name, channel in _channels().items() if name in names}
    messages = {name: message for name, message in _messages().items() if _is_named("messages", name, channels)}
    return {
        "asyncapi": _VERSION,
        "id": f"urn:factor-consolidator:asyncapi:{role}",
        "info": {
            "title": title,
            "version": __version__,
            "description": description,
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": _JSON,
        "channels": channels,
        "operations": {name: _operation(*about) for name, about in _OPERATIONS[role].items()},
        "components": {"messages": messages, "schemas": _named_schemas(messages)},
    }


def _is_named(kind: str, name: str, where: Any) -> bool:
    return json.dumps(f"#/components/{kind}/{name}") in json.dumps(where)


def _named_schemas(messages: Mapping[str, Any]) -> dict[str, Any]:
    """The schemas that messages refer to, and those that these refer to."""
    every, found = _schemas(), dict[str, Any]()
    while True:
        more = {
            name: every[name] for name in every if name not in found and _is_named("schemas", name, [messages, found])
        }
        if not more:
            return {name: found[name] for name in every if name in found}
        found |= more


def _operation(action: str, channel: str, summary: str) -> dict[str, Any]:
    group = {"type": "string", "description": "The consumer group. The worker's is CONSOLIDATOR_APP_ID."}
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{channel}"},
        "summary": summary,
        "bindings": {"kafka": ({"groupId": group} if action == "receive" else {}) | {"bindingVersion": _BINDING}},
    }


def _declared() -> Topics:
    return declare(
        "",
        app_id="consolidator",
        partitions=1,
        replication_factor=1,
        audit_window_days=AUDIT_WINDOW_DAYS,
        max_event_bytes=MAX_EVENT_BYTES,
    )


def _channels() -> dict[str, Any]:
    topics = _declared()
    return {
        "executions": _channel(topics.executions, ["executionLifecycleEvent", "eventErased"]),
        "factorChanges": _channel(topics.factor_changes, ["factorChange", "factorChangeErased"]),
        "factors": _channel(topics.factors, ["currentFactors", "factorsErased"]),
        "deadLetters": _channel(topics.dlq, ["deadLetter"]),
    }


def _channel(topic: Topic, messages: list[str]) -> dict[str, Any]:
    settings: dict[str, Any] = {name: topic.config[name] for name in _SETTINGS if name in topic.config}
    whole = {name: int(value) for name, value in settings.items() if value.lstrip("-").isdecimal()}
    policy = {"cleanup.policy": topic.config["cleanup.policy"].split(",")}
    return {
        "address": topic.name,
        "description": f"{topic.why} Keys: {topic.key}. CONSOLIDATOR_TOPIC_PREFIX stands before the topic's name.",
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
        "bindings": {
            "kafka": {
                "topic": topic.name,
                "topicConfiguration": settings | whole | policy,
                "bindingVersion": _BINDING,
            }
        },
        "x-key": topic.key,
        "x-partition": _PARTITION,
    }


def _messages() -> dict[str, Any]:
    change, factors = json.loads(encode(sample_change())), json.loads(encode(sample_factors()))
    return {
        "executionLifecycleEvent": _message(
            "LifecycleEvent",
            "An event. Any key is accepted; under the canonical one it is not published once more.",
            "<application_id>/<event_id>",
        ),
        "eventErased": _erased(
            "the event of this key. A tombstone's key has to be canonical", "<application_id>/<event_id>"
        ),
        "factorChange": _message(
            "FactorChange", "What one event changed.", "<application_id>/<change_id>", "factor-change", change
        ),
        "factorChangeErased": _erased("the change of this key", "<application_id>/<change_id>"),
        "currentFactors": _message(
            "CurrentFactors",
            "The current factors of a pair. Cleared factors are such a record, and no tombstone.",
            "<application_id>/<processor>",
            "factors",
            factors,
        ),
        "factorsErased": _erased("everything about this pair", "<application_id>/<processor>"),
        "deadLetter": {
            "title": "Dead letter",
            "summary": "The record that could not be folded, with its bytes untouched; headers dlq_* say why.",
            "contentType": "application/octet-stream",
            "bindings": _key("<source topic>/<partition>/<offset>"),
        },
    }


def _message(
    schema: str, summary: str, key: str, event_type: str | None = None, example: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    message: dict[str, Any] = {
        "summary": summary,
        "contentType": _JSON,
        "correlationId": {
            "location": "$message.payload#/application_id",
            "description": "Everything about an application has keys that begin with its id, and is in one partition.",
        },
        "payload": {"$ref": f"#/components/schemas/{schema}"},
        "bindings": _key(key),
    }
    if event_type is not None:
        message["headers"] = _headers(event_type)
    if example is not None:
        message["examples"] = [{"name": "sample", "payload": example}]
    return message


def _erased(what: str, key: str) -> dict[str, Any]:
    return {
        "summary": f"A tombstone: the record has no value at all, not the text null. It erases {what}.",
        "payload": {"type": "null"},
        "bindings": _key(key),
    }


def _key(form: str) -> dict[str, Any]:
    described = {
        "type": "string",
        "description": f"{form}; in the application id, % is written %25 and / is written %2F.",
    }
    return {"kafka": {"key": described, "bindingVersion": _BINDING}}


def _headers(event_type: str) -> dict[str, Any]:
    """The headers of a CloudEvent in binary mode, as :mod:`topics.records.cloudevents` writes them."""
    return {
        "type": "object",
        "properties": {
            "content-type": {"const": _JSON},
            "ce_specversion": {"const": "1.0"},
            "ce_id": {
                "type": "string",
                "description": "The change's id; of factors, that of the change that led to them.",
            },
            "ce_type": {"const": f"consolidator.{event_type}.v1"},
            "ce_source": {"const": "/consolidator"},
            "ce_subject": {"type": "string", "description": "The application."},
        },
        "required": ["content-type", "ce_specversion", "ce_id", "ce_type", "ce_source", "ce_subject"],
    }


def _schemas() -> dict[str, Any]:
    """Every schema by its name in the documents; definitions that records share are there once."""
    named = {"factor-change": "FactorChange", "factors": "CurrentFactors", "lifecycle-event": "LifecycleEvent"}
    found: dict[str, Any] = {}
    for record, schema in accepted_schemas().items():
        text = json.dumps(schema).replace('"#/$defs/', '"#/components/schemas/')
        moved = json.loads(text)
        definitions = moved.pop("$defs")
        del moved["$schema"], moved["$id"]
        for name, part in {named[record]: moved, **definitions}.items():
            for member in part.get("properties", {}).values():
                # It repeats the member's name, and generators make a class of everything that has a title.
                member.pop("title", None)
            if found.setdefault(name, part) != part:
                raise ValueError(f"two schemas are called {name}")
    return found


if __name__ == "__main__":
    for file_name, document in documents().items():
        (Path(sys.argv[1]) / file_name).write_text(document, encoding="utf-8")
