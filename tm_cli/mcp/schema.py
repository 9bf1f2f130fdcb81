"""What tools take: JSON Schema for the client, and the same rules applied before any request."""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from functools import partial
from typing import Any

from tm_cli.api.errors import ApiError, HttpError
from tm_cli.cli import options
from tm_cli.errors import UsageError
from tm_cli.gate.policy import Gate
from tm_cli.mcp.session import CallSession
from tm_cli.values.text import sanitize
from tm_cli.values.verdict import GATED

Schema = dict[str, Any]

LARGEST_ID = 2**63 - 1
LONGEST_WAIT = 7 * 24 * 3600
"""Seconds; a call that waits longer has been mistyped."""

LONGEST_MESSAGE = 300

NOT_FOUND = 404


def text(
    description: str, *, longest: int = 200, least: int = 1, pattern: str | None = None
) -> Schema:
    """A text, not empty unless `least` is 0."""
    found: Schema = {"type": "string", "minLength": least, "maxLength": longest}
    if pattern is not None:
        found["pattern"] = pattern
    return {**found, "description": description}


def choice(description: str, words: Sequence[str]) -> Schema:
    return {"type": "string", "enum": list(words), "description": description}


def whole(description: str, *, least: int = 1, most: int = LARGEST_ID) -> Schema:
    return {"type": "integer", "minimum": least, "maximum": most, "description": description}


def number(description: str, *, least: float = 0, most: float) -> Schema:
    return {"type": "number", "minimum": least, "maximum": most, "description": description}


def share(description: str) -> Schema:
    return {"type": "number", "minimum": 0, "maximum": 1, "description": description}


def seconds(description: str) -> Schema:
    """A duration in seconds, longer than zero."""
    limits = {"exclusiveMinimum": 0, "maximum": LONGEST_WAIT}
    return {"type": "number", **limits, "description": description}


def flag(description: str, *, default: bool = False) -> Schema:
    """True or false; `default` where it is left out."""
    return {"type": "boolean", "default": default, "description": description}


def switch(description: str) -> Schema:
    """True or false; left out, it is decided elsewhere."""
    return {"type": "boolean", "description": description}


def record(
    description: str,
    properties: Mapping[str, Schema],
    required: Sequence[str] = (),
    *,
    extra: bool = False,
) -> Schema:
    """An object with these parts; with `extra`, others are passed on."""
    found: Schema = {"type": "object", "properties": dict(properties), "required": list(required)}
    return {**found, "additionalProperties": extra, "description": description}


def items(description: str, each: Schema, *, least: int = 0, most: int) -> Schema:
    limits = {"minItems": least, "maxItems": most}
    return {"type": "array", "items": each, **limits, "description": description}


def pairs(description: str, *, most: int = 20, longest: int = 256) -> Schema:
    value = {"type": "string", "maxLength": longest}
    limits = {"maxProperties": most, "additionalProperties": value}
    return {"type": "object", **limits, "description": description}


def verdicts(description: str) -> Schema:
    """A list of verdicts that fail a gate; an empty one is a mistake, not a default."""
    each = {"type": "string", "enum": [str(verdict) for verdict in GATED]}
    return items(description, each, least=1, most=len(GATED))


def input_schema(properties: Mapping[str, Schema], required: Sequence[str]) -> Schema:
    """The schema of all arguments of a tool; it takes no others.

    Those that are not required may be left out. Some clients refuse a schema that allows null;
    `read` takes it for left out all the same, at any depth.
    """
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(required),
        "additionalProperties": False,
    }


def read(arguments: Mapping[str, Any], schema: Schema) -> dict[str, Any]:
    """Return the arguments that were given, checked; raises UsageError, and sends nothing."""
    from jsonschema import Draft202012Validator

    decoded = {name: _decoded(item, schema, name) for name, item in arguments.items()}
    if isinstance(listed := decoded.get("fail_on_verdict"), list):
        decoded["fail_on_verdict"] = [_upper(word) for word in listed]
    given: dict[str, Any] = _as_described(decoded, schema, ())
    _refuse_unknown(given, schema)
    for problem in Draft202012Validator(schema).iter_errors(given):
        where = ".".join(str(step) for step in problem.absolute_path)
        message = sanitize(
            f"{where}: {problem.message}" if where else problem.message, longest=LONGEST_MESSAGE
        )
        raise UsageError(message, hint="nothing was sent")
    return given


def _decoded(value: Any, schema: Schema, name: str) -> Any:
    """Return an object or a list that a client has written as JSON in a text, as some do."""
    kind = schema["properties"].get(name, {}).get("type")
    if not isinstance(value, str) or kind not in _STRUCTURES:
        return value
    try:
        found = json.loads(value)
    except (ValueError, RecursionError):
        return value
    return found if isinstance(found, _STRUCTURES[kind]) else value


_STRUCTURES = {"object": dict, "array": list}


def _as_described(value: Any, schema: Schema, path: tuple[str, ...]) -> Any:
    """Leave out what is null and may be left out, and make 5.0 a whole number where one is due.

    NaN passes every comparison, so that it is refused here.
    """
    if isinstance(value, dict) and "properties" in schema:
        known = schema["properties"]
        return {
            name: _as_described(item, known.get(name, {}), (*path, str(name)))
            for name, item in value.items()
            if item is not None or (name not in known and path)
        }
    if isinstance(value, list):
        each = schema.get("items", {})
        return [_as_described(item, each, (*path, str(at))) for at, item in enumerate(value)]
    if isinstance(value, float) and not math.isfinite(value):
        raise UsageError(f"{'.'.join(path)}: expected a number", hint="nothing was sent")
    is_whole = schema.get("type") == "integer" and isinstance(value, float) and value.is_integer()
    return int(value) if is_whole else value


def _upper(word: Any) -> Any:
    return word.strip().upper() if isinstance(word, str) else word


def _refuse_unknown(given: Mapping[str, Any], schema: Schema) -> None:
    """A mistyped name must not leave out what it was meant to say."""
    known = list(schema["properties"])
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}? " if near else ""
            shown = sanitize(name, longest=LONGEST_MESSAGE)
            raise UsageError(f"unknown argument {shown!r}", hint=f"{hint}nothing was sent")


PROFILE_ID = whole("Id of the profile, from tm_list_profiles.", most=LARGEST_ID)
HISTORY_ID = whole("Id of an ended run in the history, from tm_list_history.", most=LARGEST_ID)
WAIT = flag("Wait until the run has ended and its verdict is known; needed for any gate.")
FAIL_ON_VERDICT = verdicts(
    "The gate: verdicts that fail it. FAIL, WARN and NO_BASELINE are possible, PASS is not. "
    "Needs wait. Left out, the settings of tm decide; without any the verdict only informs."
)
ABORT_IF = items(
    "Limits that end a run which breaks one, such as 'p95>2s for 30s' or 'errors>20% for 10s'; the "
    "result is then FAIL. Needs wait. Added to those of the settings.",
    text("One limit.", longest=80),
    least=1,
    most=20,
)
WAIT_TIMEOUT = seconds(
    "Maximum time to wait for the run to finish. Default: the setting of tm, usually 1800."
)
VERDICT_TIMEOUT = seconds(
    "Maximum time to wait for the verdict after the run. Default: the setting, usually 60."
)
POLL_INTERVAL = seconds("Polling interval. By default it adapts to the length of the run.")
WAITING: Mapping[str, Schema] = {
    "wait_timeout_seconds": WAIT_TIMEOUT,
    "verdict_timeout_seconds": VERDICT_TIMEOUT,
    "poll_interval_seconds": POLL_INTERVAL,
}


def run_id(description: str) -> Schema:
    """The id of a run of another system."""
    return text(description, longest=200, pattern=r"^\S+$")


def refuse_without_wait(arguments: Mapping[str, Any], names: tuple[str, ...]) -> None:
    """Raise UsageError for gate arguments without `wait`."""
    if arguments.get("wait"):
        return
    for name in names:
        if arguments.get(name) not in (None, False):
            raise UsageError(
                f"{name} needs wait: without it there is no verdict",
                hint="set wait to true; nothing was sent",
            )


def fail_on(arguments: Mapping[str, Any]) -> str | None:
    """The verdicts as `--fail-on` writes them."""
    given = arguments.get("fail_on_verdict")
    return None if given is None else ",".join(given)


def read_gate(session: CallSession, arguments: Mapping[str, Any]) -> Gate:
    """Return the gate that arguments and settings describe; sends nothing."""
    return with_waits(options.GateOptions(fail_on(arguments)).read(session), arguments)


def read_run_gate(session: CallSession, arguments: Mapping[str, Any]) -> Gate:
    """Return the gate of a traffic run, to which the settings `assert` and `abort_if` belong."""
    checks = options.read_checks(options.with_assert_setting(session, None))
    abort_if = options.read_abort_if(session, arguments.get("abort_if"))
    return replace(read_gate(session, arguments), checks=checks, abort_if=abort_if)


def with_waits(gate: Gate, arguments: Mapping[str, Any]) -> Gate:
    """Return the gate with the waits that were asked for."""
    names = {"wait_timeout": "wait_timeout_seconds", "verdict_timeout": "verdict_timeout_seconds"}
    chosen = {field: float(arguments[name]) for field, name in names.items() if name in arguments}
    polling = gate.polling
    if "poll_interval_seconds" in arguments:
        polling = replace(polling, interval=float(arguments["poll_interval_seconds"]))
    return replace(gate, polling=polling, **chosen)  # type: ignore[arg-type]


Perform = Callable[[CallSession, dict[str, Any]], int]
"""Does it with checked arguments, prints the JSON document and returns its exit code."""


class Effect(Enum):
    """What a call does to the world beyond."""

    READS = "reads"
    CHANGES = "changes"
    SETS = "sets"
    """A change after which the same call again changes nothing."""


@dataclass(frozen=True, slots=True)
class Tool:
    """One tool; the result of a gate has the fields of the gate at its top, others have `data`.

    A result that `is_published` is what the tool of that name of TrafficMorph's own server returns.
    """

    name: str
    title: str
    description: str
    effect: Effect
    perform: Perform
    properties: Mapping[str, Schema]
    required: tuple[str, ...] = ()
    is_gate: bool = False
    is_published: bool = False

    @property
    def schema(self) -> Schema:
        """JSON Schema of the arguments."""
        return input_schema(self.properties, self.required)


Answer = Callable[[CallSession, dict[str, Any]], Any]
"""Does it with checked arguments and returns an object or a list."""


def published(
    name: str,
    title: str,
    description: str,
    effect: Effect,
    answer: Answer,
    properties: Mapping[str, Schema] | None = None,
    required: tuple[str, ...] = (),
) -> Tool:
    """Return a tool of TrafficMorph's own server, with the result that it has there."""
    perform = partial(_emit, answer, effect)
    found = Tool(name, title, description, effect, perform, properties or {}, required)
    return replace(found, is_published=True)


def _emit(answer: Answer, effect: Effect, session: CallSession, arguments: dict[str, Any]) -> int:
    try:
        return session.emit(answer(session, arguments), str)
    except ApiError as error:
        error.hint = "; ".join(filter(None, (_hint(error, effect), error.hint))) or None
        raise


def _hint(error: ApiError, effect: Effect) -> str | None:
    if isinstance(error, HttpError) and error.status == NOT_FOUND:
        return "a server that is older than this operation does not have it"
    if effect is Effect.READS or not error.maybe_done:
        return None
    return "the server may have done it all the same: look before you repeat the call"
