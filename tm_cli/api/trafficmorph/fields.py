"""Kinds of fields of this API, and the base of its JSON objects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, ConfigDict
from pydantic.alias_generators import to_camel

from tm_cli.api import strict_json
from tm_cli.api.client import Payload
from tm_cli.values.text import as_number

LARGEST_INTEGER = 2**53


def _json_text(value: Any) -> Any:
    """Decode a field that holds JSON as text; what does not decode to a document stays text."""
    if not isinstance(value, str):
        return value
    try:
        document = strict_json.parse_answer(value)
    except ValueError:
        return value
    return document if isinstance(document, dict | list) else value


def _text_list(value: Any) -> tuple[str, ...]:
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()


def _row_run_id(value: Any) -> str | None:
    """Keep a runId of a wrong type: only rows without any may be matched by time."""
    if value is None or isinstance(value, str):
        return value or None
    return "(a runId that is no text)"


def _counts(value: Any) -> Mapping[str, int]:
    if not isinstance(value, dict):
        return {}
    return {str(key): count for key, count in value.items() if type(count) is int}


def _number(value: Any) -> int | float | None:
    """Keep an integer as one, as scripts expect it; what a float cannot count is a float."""
    return value if type(value) is int and abs(value) <= LARGEST_INTEGER else as_number(value)


Number = Annotated[int | float | None, BeforeValidator(_number)]
JsonText = Annotated[Any, BeforeValidator(_json_text)]
TextList = Annotated[tuple[str, ...], BeforeValidator(_text_list)]
RowRunId = Annotated[str | None, BeforeValidator(_row_run_id)]
Counts = Annotated[Mapping[str, int], BeforeValidator(_counts)]


class CamelCasePayload(Payload):
    """A JSON object of this API: camelCase on the wire."""

    model_config = ConfigDict(alias_generator=to_camel)
