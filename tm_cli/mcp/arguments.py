"""What tools take: JSON Schema for the client, and the same rules applied before any request."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping, Sequence
from typing import Any

from tm_cli.errors import UsageError
from tm_cli.gate.verdict import GATED
from tm_cli.text import clean

Schema = dict[str, Any]

LARGEST_ID = 2**63 - 1
LONGEST_WAIT = 7 * 24 * 3600
"""Seconds; a call that waits longer has been mistyped."""

LONGEST_TOLD = 300


def text(description: str, *, longest: int = 200, pattern: str | None = None) -> Schema:
    """A text that is not empty."""
    found: Schema = {"type": "string", "minLength": 1, "maxLength": longest}
    if pattern is not None:
        found["pattern"] = pattern
    return {**found, "description": description}


def choice(description: str, words: Sequence[str]) -> Schema:
    """One of some words."""
    return {"type": "string", "enum": list(words), "description": description}


def whole(description: str, *, least: int = 1, most: int = LARGEST_ID) -> Schema:
    """A whole number."""
    return {"type": "integer", "minimum": least, "maximum": most, "description": description}


def share(description: str) -> Schema:
    """A number from 0 to 1."""
    return {"type": "number", "minimum": 0, "maximum": 1, "description": description}


def seconds(description: str) -> Schema:
    """A duration in seconds, longer than zero."""
    limits = {"exclusiveMinimum": 0, "maximum": LONGEST_WAIT}
    return {"type": "number", **limits, "description": description}


def flag(description: str) -> Schema:
    """True or false; false where it is left out."""
    return {"type": "boolean", "default": False, "description": description}


def items(description: str, each: Schema, *, least: int = 0, most: int) -> Schema:
    """A list."""
    limits = {"minItems": least, "maxItems": most}
    return {"type": "array", "items": each, **limits, "description": description}


def pairs(description: str, *, most: int = 20, longest: int = 256) -> Schema:
    """An object whose values are texts."""
    value = {"type": "string", "maxLength": longest}
    limits = {"maxProperties": most, "additionalProperties": value}
    return {"type": "object", **limits, "description": description}


def optional(schema: Schema) -> Schema:
    """The same, or null, which counts as left out."""
    found = {**schema, "type": [schema["type"], "null"], "default": None}
    if "enum" in schema:
        found["enum"] = [*schema["enum"], None]
    return found


def verdicts(description: str) -> Schema:
    """A list of verdicts that fail a gate; an empty one is a mistake, not a default."""
    each = {"type": "string", "enum": [str(verdict) for verdict in GATED]}
    return optional(items(description, each, least=1, most=len(GATED)))


def input_schema(properties: Mapping[str, Schema], required: Sequence[str]) -> Schema:
    """The schema of all arguments of a tool; it takes no others."""
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(required),
        "additionalProperties": False,
    }


def read(arguments: Mapping[str, Any], schema: Schema) -> dict[str, Any]:
    """Return the arguments that were given, checked; raises UsageError, and sends nothing."""
    from jsonschema import Draft202012Validator

    given = {name: value for name, value in arguments.items() if value is not None}
    if isinstance(listed := given.get("fail_on_verdict"), list):
        given["fail_on_verdict"] = [_upper(word) for word in listed]
    _refuse_unknown(given, schema)
    for problem in Draft202012Validator(schema).iter_errors(given):
        where = ".".join(str(step) for step in problem.absolute_path)
        said = clean(
            f"{where}: {problem.message}" if where else problem.message, longest=LONGEST_TOLD
        )
        raise UsageError(said, hint="nothing was sent")
    return {name: _number(name, value, schema) for name, value in given.items()}


def _upper(word: Any) -> Any:
    return word.strip().upper() if isinstance(word, str) else word


def _refuse_unknown(given: Mapping[str, Any], schema: Schema) -> None:
    """A mistyped name must not leave out what it was meant to say."""
    known = list(schema["properties"])
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}? " if near else ""
            said = clean(name, longest=LONGEST_TOLD)
            raise UsageError(f"unknown argument {said!r}", hint=f"{hint}nothing was sent")


def _number(name: str, value: Any, schema: Schema) -> Any:
    """Make 5.0 a whole number where one is asked for; NaN passes every comparison but this."""
    if isinstance(value, float) and not math.isfinite(value):
        raise UsageError(f"{name}: expected a number", hint="nothing was sent")
    kind = schema["properties"][name]["type"]
    return int(value) if "integer" in (kind, *kind) and isinstance(value, float) else value
