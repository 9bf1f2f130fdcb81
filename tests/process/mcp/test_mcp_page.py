"""`docs/mcp.md` lists the tools as they are."""

import json
import re
from pathlib import Path

from tm_cli.mcp.schema import Effect, read
from tm_cli.mcp.tools import TOOLS

PAGE = (Path(__file__).parents[3] / "docs" / "mcp.md").read_text(encoding="utf-8")
MARKS = {Effect.READS: "read-only", Effect.ADJUSTS: "changing"}


def test_every_tool_is_listed_with_its_mark():
    listed = re.findall(r"^\| `(tm_\w+)` \| .* \| (\S+) \|$", PAGE, re.MULTILINE)
    assert listed == [(tool.name, MARKS.get(tool.effect, "destructive")) for tool in TOOLS]


def test_every_argument_of_the_start_is_named():
    for name in TOOLS[0].properties:
        assert f"`{name}`" in PAGE


def test_the_examples_are_taken():
    configuration, call = (
        json.loads(block) for block in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    )
    assert configuration["mcpServers"]["tm"]["args"][0] == "mcp"
    assert read(call, TOOLS[0].schema) == call
