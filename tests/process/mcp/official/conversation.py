"""The client library of TrafficMorph's own MCP server, driven from these tests.

`python -m tests.process.mcp.official.conversation` writes what that server publishes to
`published.json`.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tm_cli.mcp.results import OWN_KEYS

ROOT = Path(__file__).parents[4]
HERE = Path(__file__).parent
BIN = ROOT / ".venv-official" / ("Scripts" if os.name == "nt" else "bin")
PYTHON = BIN / ("python.exe" if os.name == "nt" else "python")
OFFICIAL_SERVER = (str(BIN / ("tm-mcp.exe" if os.name == "nt" else "tm-mcp")),)
PUBLISHED = HERE / "published.json"


class Failed(Exception):
    """The server answered with an error, of the protocol or of a tool."""


class Client:
    """The client library in a process of its own, with a process for each of the servers."""

    def __init__(
        self, servers: Sequence[Sequence[str]], environ: Mapping[str, str], cwd: Path
    ) -> None:
        system = {name: os.environ.get(name, "") for name in ("PATH", "SYSTEMROOT")}
        self._process = subprocess.Popen(
            [str(PYTHON), str(HERE / "client.py"), json.dumps(servers)],
            env={**system, **environ},
            cwd=cwd,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
        )

    def ask(self, *words: Any) -> dict[str, Any]:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(words) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def close(self) -> None:
        assert self._process.stdin
        assert self._process.stdout
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        self._process.wait(15)
        self._process.stdout.close()


class Conversation:
    """What the server at one place of a client answers."""

    def __init__(self, client: Client, place: int) -> None:
        self._client = client
        self._place = place

    def _ask(self, *words: Any) -> dict[str, Any]:
        answer = self._client.ask(self._place, *words)
        if "failed" in answer:
            raise Failed(answer["failed"])
        found: dict[str, Any] = answer["found"]
        return found

    def listed(self) -> dict[str, Any]:
        return self._ask("list")

    def call(self, tool: str, /, **arguments: Any) -> Any:
        """Return what a tool answers; raises Failed for an error of either kind."""
        return told(self._ask("call", tool, arguments))

    def prompt(self, name: str, **arguments: str) -> str:
        return self._ask("prompt", name, arguments)["messages"][0]["content"]["text"]

    def read(self, uri: str) -> Any:
        return json.loads(self._ask("read", uri)["contents"][0]["text"])


def told(result: Mapping[str, Any]) -> Any:
    """Return what a tool answers: an object, as the first text, or a list."""
    if result["isError"]:
        raise Failed(result["content"][0]["text"])
    structure = result.get("structuredContent", {})
    if isinstance(structure.get("result"), list):
        return structure["result"]
    try:
        return json.loads(result["content"][0]["text"])
    except ValueError:  # the outcome of one of our gates, in words
        return {name: item for name, item in structure.items() if name not in OWN_KEYS}


def published(listed: Mapping[str, Any]) -> dict[str, Any]:
    """Return the names, schemas and annotations of a server, without its texts for people."""
    return {
        "tools": {
            tool["name"]: {
                "annotations": without_texts(tool["annotations"]),
                "arguments": _resolved(without_texts(tool["inputSchema"])),
            }
            for tool in listed["tools"]
        },
        "prompts": {
            item["name"]: [[word["name"], word["required"]] for word in item["arguments"]]
            for item in listed["prompts"]
        },
        "resources": {
            item.get("uri") or item["uriTemplate"]: [item["name"], item["mimeType"]]
            for item in (*listed["resources"], *listed["resource_templates"])
        },
    }


def without_texts(value: Any) -> Any:
    """Return a schema without titles and descriptions; arguments may have these names."""
    if isinstance(value, list):
        return [without_texts(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: without_texts(item)
        for key, item in value.items()
        if not (key in ("title", "description") and isinstance(item, str))
    }


def _resolved(schema: Any, definitions: Mapping[str, Any] | None = None) -> Any:
    """Return a schema with its definitions where they are used."""
    if isinstance(schema, list):
        return [_resolved(item, definitions) for item in schema]
    if not isinstance(schema, dict):
        return schema
    known = schema.get("$defs", definitions or {})
    if "$ref" in schema:
        return _resolved(known[schema["$ref"].rpartition("/")[2]], known)
    return {key: _resolved(item, known) for key, item in schema.items() if key != "$defs"}


def main() -> None:
    environ = {"TM_API_KEY": "tm_none", "TM_BASE_URL": "http://127.0.0.1:9"}
    client = Client([OFFICIAL_SERVER], environ, HERE)
    try:
        found = published(Conversation(client, 0).listed())
    finally:
        client.close()
    PUBLISHED.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
