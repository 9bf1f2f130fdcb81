"""Dependencies point one way; each import that breaks a rule is named with its line."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "tm_cli"

FOUNDATION = {
    "announcement", "api_key", "base_url", "children", "clock", "curve", "curve_pieces",
    "data_files", "device_paths", "durations", "errors", "exit_codes", "gate_limits", "git_index",
    "ownership", "private_dir", "secret_input", "standard_streams", "text", "values", "whole_files",
}  # fmt: skip

MAY_IMPORT = {
    "__init__": set(),
    "__main__": {"main"},
    "main": {"__init__", "boundary", "context"},
    "boundary": {"root", "context", "render", "signals"},
    "root": {"lazy", "main", "commands", "mcp", "global_options"},
    "global_options": set(),
    "lazy": set(),
    "context": {"terminal", "embedded", "driver"},
    "settings": {"gate"},
    "terminal": set(),
    "signals": set(),
    "embedded": set(),
    "driver": set(),
    "commands": {
        "__init__", "context", "settings", "terminal", "main", "lazy", "global_options",
        "gate", "api", "systems", "render", "report", "server", "demo", "driver", "selftest",
        "scaffold", "completion", "diagnosis",
    },
    "mcp": {
        "__init__", "commands", "terminal", "signals", "gate", "render", "api", "systems",
        "embedded",
    },
    "completion": {"context", "settings", "api", "gate", "embedded"},
    "diagnosis": {"context", "settings", "api", "terminal", "embedded"},
    "systems": {"api", "gate", "backends"},
    "backends": {"api"},
    "gate": {"signals"},
    "api": {"__init__"},
    "render": {"gate", "terminal", "diagnosis"},
    "report": {"__init__", "gate"},
    "demo": set(),
    "selftest": {"api", "server"},
    "scaffold": {"__init__", "setup"},
    "setup": set(),
    "server": {"__init__"},
}  # fmt: skip
"""What each part may import beside the foundation and itself."""

ONLY_IN = {
    "httpx2": {
        "api/transport.py",
        "api/middleware.py",
        "api/network.py",
        "api/strait/event_stream.py",
    },
    "httpcore2": {"api/network.py"},
    "typer": {
        "boundary.py",
        "lazy.py",
        "root.py",
        "global_options.py",
        "commands",
        "commands/mcp.py",
    },
    "mcp": {"mcp/server.py"},
    "mcp_types": {"mcp/server.py"},
    "anyio": {"mcp/server.py"},
    "jsonschema": {"mcp/schema.py"},
    "rich": {"terminal.py", "render"},
    "uvicorn": {"server"},
    "starlette": {"server"},
    "websockets": {"server/agent", "server/web/listener.py"},
    "locust": {"server/engine"},
    "gevent": {"server/engine"},
    "certifi": {"server/engine"},
    "hdrh": {"server"},
    "keyring": {"settings/credentials.py"},
    "pydantic": {"api", "report", "server"},
    "typing_extensions": {"report"},
    "yaml": {
        "backends/documents.py",
        "commands/profiles.py",
        "scaffold",
    },
}
"""Libraries and the only places that may import them."""


def modules() -> list[Path]:
    return sorted(ROOT.rglob("*.py"))


def imports(path: Path) -> list[tuple[int, str]]:
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
            if node.module == "tm_cli":
                names = [f"tm_cli.{alias.name}" for alias in node.names]
            found += [(node.lineno, name) for name in names]
    return found


def part_of(path: Path) -> str:
    first = path.relative_to(ROOT).parts[0]
    return first.removesuffix(".py")


def part_named(module: str) -> str:
    """`tm_cli.gate.lifecycle` is part `gate`; names that `tm_cli` itself defines are `__init__`."""
    names = module.split(".")
    known = len(names) > 1 and (names[1] in MAY_IMPORT or names[1] in FOUNDATION)
    return names[1] if known else "__init__"


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_follow_the_layers(path):
    part = part_of(path)
    allowed = FOUNDATION | ({part} | MAY_IMPORT[part] if part in MAY_IMPORT else {"exit_codes"})
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for line, name in imports(path)
        if name.split(".")[0] == "tm_cli" and part_named(name) not in allowed
    ]
    assert wrong == []


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_libraries_stay_in_their_place(path):
    here = path.relative_to(ROOT).as_posix()
    wrong = [
        f"{here}:{line} imports {name}"
        for line, name in imports(path)
        if (places := ONLY_IN.get(name.split(".")[0]))
        and not any(here == place or here.startswith(place + "/") for place in places)
    ]
    assert wrong == []


def test_commands_reach_the_server_only_to_serve():
    reaching = {
        path.name
        for path in (ROOT / "commands").glob("*.py")
        if any(name.startswith("tm_cli.server") for _, name in imports(path))
    }
    assert reaching == {"agent.py", "serve.py"}


def test_every_part_is_known():
    parts = {part_of(path) for path in modules()}
    assert parts == FOUNDATION | set(MAY_IMPORT)


@pytest.mark.parametrize(
    ("call", "place"),
    [
        ("os.environ", {"children.py", "context.py", "embedded.py"}),
        ("time.sleep", {"clock.py", "embedded.py", "device_paths.py", "standard_streams.py"}),
    ],
)
def test_the_world_comes_in_through_seams(call, place):
    using = {
        path.relative_to(ROOT).as_posix()
        for path in modules()
        if call in path.read_text(encoding="utf-8") and part_of(path) not in {"server", "demo"}
    }
    assert using <= place


def test_the_check_sees_a_wrong_arrow(tmp_path):
    wrong = tmp_path / "wrong.py"
    wrong.write_text("def f():\n    from tm_cli.commands.runs.app import app\n", encoding="utf-8")
    assert [part_named(name) for _, name in imports(wrong)] == ["commands"]
    assert "commands" not in MAY_IMPORT["gate"]
    assert sys.version_info >= (3, 11)
