"""The JSON Schema of report files, generated from their types."""

from __future__ import annotations

import json
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, JsonSchemaValue

from tm_cli.exit_codes import ExitCode
from tm_cli.gate.policy import GATED_CODES
from tm_cli.report.document import ReportDocument

_EXIT = {
    "description": "Each exit code has one name.",
    "oneOf": [
        {"properties": {"exit_code": {"const": int(code)}, "exit_name": {"const": code.name}}}
        for code in ExitCode
    ],
}
_WITHOUT_ERROR = sorted(map(int, {ExitCode.OK, *GATED_CODES}))
_ERRORS = [
    {
        "if": {"properties": {"data": {"type": "null"}}},
        "then": {"properties": {"error": {"type": "object"}, "exit_code": {"not": {"const": 0}}}},
    },
    {
        "if": {"properties": {"exit_code": {"enum": _WITHOUT_ERROR}}},
        "then": {"properties": {"error": {"type": "null"}}},
        "else": {"properties": {"error": {"type": "object"}}},
    },
]


class _Generator(GenerateJsonSchema):
    def field_title_should_be_set(self, schema: Any) -> bool:
        """A title would repeat its key."""
        return False

    def nullable_schema(self, schema: Any) -> JsonSchemaValue:
        """Write `"type": [..., "null"]` where that is enough."""
        found = super().nullable_schema(schema)
        options: list[JsonSchemaValue] = found.get("anyOf", [])
        if len(options) != 2 or "type" not in options[0]:
            return found
        kinds = options[0]["type"]
        return options[0] | {"type": [*([kinds] if isinstance(kinds, str) else kinds), "null"]}

    def generate(self, schema: Any, mode: JsonSchemaMode = "validation") -> JsonSchemaValue:
        """Add what the types do not say: which codes, names and errors go together."""
        found = super().generate(schema, mode)
        one_of_several = found["$defs"]["SeveralRuns"]["properties"]["runs"]["items"]
        one_of_several["required"] = ["exit_code", "exit_name", "error"]
        for definition in (found, one_of_several, *found["$defs"].values()):
            definition.pop("title", None)
            if {"exit_code", "exit_name"} <= set(definition.get("required", ())):
                definition["allOf"] = [{"$ref": "#/$defs/Exit"}]
        found["$defs"]["Exit"] = _EXIT
        found["allOf"] += _ERRORS
        return {
            "$schema": self.schema_dialect,
            "title": "Report of a tm gate, version 1",
            **found,
        }


def schema_text() -> str:
    """Return the schema as `docs/schemas/report-1.json` has it."""
    schema = TypeAdapter(ReportDocument).json_schema(schema_generator=_Generator)
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
