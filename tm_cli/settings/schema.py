"""The JSON Schema of `tm.toml`, from the definitions of the settings."""

from __future__ import annotations

import json

from tm_cli.runtime.signals import InterruptAction
from tm_cli.settings.definitions import DEFINITIONS, Definition
from tm_cli.settings.files import GATE
from tm_cli.values.durations import LONGEST
from tm_cli.values.json_schemas import (
    A_DURATION,
    DIALECT,
    Schema,
    any_of,
    definitions,
    duration,
    in_any_case,
    mapping,
    text,
    thresholds,
    words,
)
from tm_cli.values.thresholds import STRETCH_SECONDS
from tm_cli.values.verdict import GATED


def settings_schema() -> Schema:
    """Return the schema of a project's settings, which has no personal ones."""
    settings = {
        name: {"description": each.help, **_value(each)}
        for name, each in DEFINITIONS.items()
        if not each.personal
    }
    return {
        "$schema": DIALECT,
        "title": "Settings of a project for tm",
        **mapping({**settings, GATE: thresholds()}),
        "definitions": definitions(),
    }


def schema_text() -> str:
    """Return the schema as a file has it."""
    return json.dumps(settings_schema(), indent=2) + "\n"


def _value(definition: Definition) -> Schema:
    """What a setting takes; of a reader that is not known here, any value that a file can have."""
    return _VALUES.get(definition.read.__name__, {"type": ["string", "number", "array"]})


def _verdicts() -> Schema:
    one = in_any_case(GATED)
    several = text(pattern=rf"^[\s,]*{one}(?:\s*,[\s,]*{one})*[\s,]*$")
    names = {"enum": [str(word) for word in GATED]}
    return any_of(several, {"type": "array", "items": any_of(names, several), "minItems": 1})


def _boolean() -> Schema:
    spelt = words(("true", "yes", "on", "false", "no", "off", "1", "0"))
    return any_of({"type": "boolean"}, {"enum": [0, 1]}, spelt)


def _poll_interval() -> Schema:
    """A duration above zero, or `auto`."""
    return any_of(_POSITIVE, text(pattern=r"^\s*[Aa][Uu][Tt][Oo]\s*$"))


_POSITIVE = any_of({"type": "number", "exclusiveMinimum": 0, "maximum": LONGEST}, A_DURATION)
_TEXT = text(pattern=r"\S")
_URL = text(pattern=r"^\s*(?:[Ll][Oo][Cc][Aa][Ll]|[Hh][Tt][Tt][Pp][Ss]?://\S+)\s*$")
_VALUES: dict[str, Schema] = {
    "parse_base_url": _URL,
    "_remote_url": text(pattern=r"^\s*[Hh][Tt][Tt][Pp][Ss]?://\S+\s*$"),
    "_positive": _POSITIVE,
    "parse_duration": duration(0, LONGEST),
    "_warmup": duration(0, LONGEST, multipleOf=STRETCH_SECONDS),
    "_poll_interval": _poll_interval(),
    "_boolean": _boolean(),
    "_fail_on": _verdicts(),
    "_warn_on": _verdicts(),
    "_checks": any_of(_TEXT, {"type": "array", "items": text(), "minItems": 1}),
    "_on_interrupt": words(tuple(InterruptAction)),
    "_text": any_of(_TEXT, {"type": "array", "items": text(), "minItems": 1}),
    "_commit": text(pattern=r"^\s*[0-9a-fA-F]{7,64}\s*$"),
    "parse_context_name": text(pattern=r"^\s*[A-Za-z0-9][A-Za-z0-9._-]{0,63}\s*$"),
}
"""The values of each reader of `settings/definitions.py`, by its name."""
