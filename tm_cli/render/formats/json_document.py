"""The versioned JSON document of `--json`; `docs/json-output.md` describes it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tm_cli.errors import TmError
from tm_cli.exit_codes import ExitCode

SCHEMA_VERSION = 1


def document(
    data: Any, *, exit_code: int = ExitCode.OK, error: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Wrap what a command returns; `error` is None unless something went wrong."""
    return {
        "schema_version": SCHEMA_VERSION,
        "exit_code": int(exit_code),
        "exit_name": ExitCode(exit_code).name,
        "data": data,
        "error": error,
    }


def error_document(error: TmError, data: Any = None) -> dict[str, Any]:
    """Wrap an error, with whatever was known when it happened."""
    return document(
        data,
        exit_code=error.exit_code,
        error={
            "code": error.code,
            "message": error.message,
            "hint": error.hint,
            "request_id": error.request_id,
        },
    )


JSON_TEXTS = frozenset(
    {
        "autoVerdictReasons", "responseCodes", "latencyQuantiles", "rpsSeries", "latencySeries",
        "secondaryStats", "scriptStats", "autoCompareSnapshot",
    }
)  # fmt: skip
"""Fields of a history row that the API sends as text with JSON in it."""


def as_on_the_wire(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a history row with its JSON as texts again."""
    return {
        name: json.dumps(value) if name in JSON_TEXTS and isinstance(value, dict | list) else value
        for name, value in row.items()
    }


def to_json(value: Any) -> str:
    """Return indented JSON whose texts can steer neither a terminal nor a CI runner.

    It is ASCII, and `#`, which stands in texts only, is escaped: runners look for `##[` anywhere.
    """
    return json.dumps(value, indent=2, ensure_ascii=True, allow_nan=False).replace("#", "\\u0023")


def to_json_line(value: Any) -> str:
    """Return the same on one line, which it ends."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("#", "\\u0023") + "\n"
