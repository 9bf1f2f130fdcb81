"""`docs/mcp.md` lists the tools as they are."""

import json
import re
from pathlib import Path

import pytest

from tm_cli.commands import mcp
from tm_cli.errors import UsageError
from tm_cli.mcp.schema import Effect, input_schema, read
from tm_cli.mcp.tools import GROUPS, TOOLS

PAGE = (Path(__file__).parents[3] / "docs" / "mcp.md").read_text(encoding="utf-8")
MARKS = {Effect.READS: "read-only"}


def test_every_tool_is_listed_with_its_mark():
    listed = re.findall(r"^\| `(tm_\w+)` \| .* \| (\S+) \|$", PAGE, re.MULTILINE)
    assert listed == [(tool.name, MARKS.get(tool.effect, "destructive")) for tool in TOOLS]


def test_every_argument_of_the_start_is_named():
    for name in TOOLS[0].properties:
        assert f"`{name}`" in PAGE


def test_help_and_completion_name_the_groups():
    assert list(GROUPS) == [*mcp.GROUPS]
    assert mcp.complete_tools("runs,hi")[0] == "runs,history"


def test_no_client_cuts_a_description():
    assert max(len(tool.description) for tool in TOOLS) < 2048


def _schemas(schema):
    yield schema
    for name, value in schema.items():
        inner = value.values() if name == "properties" else (value,)
        for item in inner:
            if isinstance(item, dict):
                yield from _schemas(item)


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
def test_a_schema_has_one_type_and_no_null(tool):
    """Some clients refuse lists of types; an optional argument is one that is not required."""
    for schema in _schemas(tool.schema):
        assert isinstance(schema.get("type", "string"), str), schema
        assert None not in schema.get("enum", ()), schema
        assert schema.get("default", False) is not None, schema


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
def test_null_counts_as_left_out(tool):
    optional = dict.fromkeys(set(tool.properties) - set(tool.required))
    assert read(optional, input_schema(tool.properties, ())) == {}


def test_null_counts_as_left_out_in_parts_of_an_argument_too():
    schedule = {"mode": "ONCE", "timezone": "UTC", "slots": [{"dayOfWeek": 1.0, "time": "09:00"}]}
    tool = next(tool for tool in TOOLS if tool.name == "tm_update_profile")
    given = {"profile_id": 42, "schedule": {**schedule, "notifyEmails": None}}
    assert read(given, tool.schema) == {"profile_id": 42, "schedule": schedule}


def test_an_object_or_a_list_may_come_as_json_in_a_text():
    tool = next(tool for tool in TOOLS if tool.name == "tm_start_run")
    given = {"profile_id": 42, "wait": True, "fail_on_verdict": '["fail"]', "tags": "[]"}
    assert read(given, tool.schema) == {**given, "fail_on_verdict": ["FAIL"], "tags": []}
    for text in ("FAIL", '"FAIL"', "{}", "[" * 100_000):
        with pytest.raises(UsageError, match="fail_on_verdict"):
            read({**given, "fail_on_verdict": text}, tool.schema)


def test_the_examples_are_taken():
    configuration, call = (
        json.loads(block) for block in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    )
    assert configuration["mcpServers"]["tm"]["args"][0] == "mcp"
    assert read(call, TOOLS[0].schema) == call
