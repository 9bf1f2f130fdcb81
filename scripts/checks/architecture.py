"""Dependencies point one way, libraries stay in their places, and no modules import each other."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from checks.pages import ROOT

PACKAGE = ROOT / "tm_cli"
BELOW_ALL = {"__init__", "errors", "exit_codes", "values"}
MAY_IMPORT = {
    "__main__": "main runtime",
    "main": "cli runtime",
    "cli": "commands completion api gate render runtime settings",
    "commands": "api backends bisect cli completion demo doctor gate mcp render report runtime"
    " selftest server settings setup sources target",
    "mcp": "api backends cli commands gate render runtime",
    "backends": "api gate runtime",
    "render": "gate runtime selftest",
    "report": "gate",
    "setup": "runtime",
    "doctor": "api runtime settings",
    "completion": "api gate runtime settings",
    "selftest": "api runtime server",
    "demo": "runtime",
    "server": "runtime",
    "settings": "runtime",
    "sources": "",
    "api": "runtime",
    "gate": "runtime",
    "bisect": "runtime",
    "target": "api gate runtime",
    "runtime": "",
    **dict.fromkeys(BELOW_ALL, ""),
}
"""What each part may import in addition to what is below all, and to itself."""

ONLY_IN = {
    "tm_cli.server": "commands/agent.py commands/serve.py selftest server",
    "anyio": "mcp/server.py",
    "asyncssh": "server/capture_sources/sftp.py",
    "certifi": "server/domains server/engine server/outgoing.py",
    "dns": "server/domains",
    "filelock": "server",
    "gevent": "server/engine",
    "h2": "server/engine/http2",
    "hdrh": "selftest server",
    "httpcore2": "api/network.py",
    "idna": "values/urls.py",
    "httpx2": "api/middleware.py api/network.py api/event_stream.py api/transport.py",
    "jsonschema": "mcp/schema.py",
    "keyring": "settings/credentials.py",
    "locust": "server/engine",
    "mcp": "mcp/server.py",
    "mcp_types": "mcp/server.py",
    "platformdirs": "runtime/environment.py",
    "quickjs_rs": "server/sandbox/script.py",
    "psutil": "server/agent server/engine target/process_usage.py",
    "obstore": "server/capture_sources/s3.py",
    "pydantic": "api report server",
    "rich": "render runtime/terminal.py",
    "starlette": "server",
    "tree_sitter": "setup/check",
    "tree_sitter_bash": "setup/check/shell_script.py",
    "typer": "cli commands completion setup/check/gate_commands.py",
    "uvicorn": "server/web",
    "wasmtime": "server/sandbox/script.py",
    "zmq": "server/engine",
    "websockets": "server/agent server/web",
    "yaml": "values/documents.py",
}
"""Libraries, and the only places that may import them."""

SEAMS = {"os.environ": "runtime server demo", "time.sleep": "runtime server demo"}
"""Calls, and the only places that may make them."""


@dataclass(frozen=True)
class Import:
    """A module that another one imports; `deferred` inside a function or for types only."""

    name: str
    line: int
    deferred: bool


def findings(package: Path = PACKAGE) -> Iterator[str]:
    """Every import and call that breaks a rule, and every circle of modules."""
    paths = sorted(package.rglob("*.py"))
    found = {path: list(imports(path)) for path in paths}
    for path in paths:
        here = path.relative_to(package).as_posix()
        for item in found[path]:
            if problem := _problem(here, item.name, package.name):
                yield f"{here}:{item.line}: {problem}"
        text = path.read_text(encoding="utf-8")
        for call, places in SEAMS.items():
            if call in text and not _is_in(here, places):
                yield f"{here}: uses {call}"
    yield from circles({_dotted(path, package): found[path] for path in paths})


def imports(path: Path) -> Iterator[Import]:
    """The imports of a module; `from package import name` counts as `package.name`."""
    yield from _imports(ast.parse(path.read_text(encoding="utf-8")), deferred=False)


def _imports(node: ast.AST, *, deferred: bool) -> Iterator[Import]:
    for inner in ast.iter_child_nodes(node):
        if isinstance(inner, ast.Import):
            yield from (Import(item.name, inner.lineno, deferred) for item in inner.names)
        elif isinstance(inner, ast.ImportFrom) and inner.module:
            for item in inner.names:
                yield Import(f"{inner.module}.{item.name}", inner.lineno, deferred)
        else:
            later = isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef) or (
                isinstance(inner, ast.If) and "TYPE_CHECKING" in ast.unparse(inner.test)
            )
            yield from _imports(inner, deferred=deferred or later)


def _problem(here: str, name: str, package: str) -> str | None:
    for library, places in ONLY_IN.items():
        if f"{name}.".startswith(f"{library}.") and not _is_in(here, places):
            return f"imports {name}, which only {places} may"
    root, _, rest = name.partition(".")
    if root != package:
        return None
    part, target = here.split("/")[0].removesuffix(".py"), rest.partition(".")[0]
    if part not in MAY_IMPORT:
        return f"{part} is not a known part"
    if target not in MAY_IMPORT:
        target = "__init__"
    allowed = {part, *BELOW_ALL, *MAY_IMPORT[part].split()}
    return None if target in allowed else f"imports {name}, but {part} may not import {target}"


def _is_in(here: str, places: str) -> bool:
    return any(here == place or here.startswith(f"{place}/") for place in places.split())


def _dotted(path: Path, package: Path) -> str:
    name = ".".join(path.relative_to(package.parent).with_suffix("").parts)
    return name.removesuffix(".__init__")


def circles(modules: Mapping[str, Iterable[Import]]) -> Iterator[str]:
    """Groups of modules that import each other, those by deferred imports named as such."""
    now: dict[str, set[str]] = {}
    ever: dict[str, set[str]] = {}
    for module, found in modules.items():
        both = [(_module_of(item.name, modules), item.deferred) for item in found]
        ever[module] = {name for name, _ in both if name} - {module}
        now[module] = {name for name, deferred in both if name and not deferred} - {module}
    strict = groups(now)
    for group in strict:
        yield f"import each other: {', '.join(sorted(group))}"
    for group in groups(ever):
        if group not in strict:
            yield f"import each other, at least once inside a function: {', '.join(sorted(group))}"


def _module_of(name: str, modules: Mapping[str, object]) -> str | None:
    """The module that an import loads: the name itself, or what the name is taken from."""
    parent = name.rpartition(".")[0]
    return name if name in modules else parent if parent in modules else None


def groups(graph: Mapping[str, set[str]]) -> list[set[str]]:
    """The sets of nodes that reach each other, by who reaches whom."""
    reached = {node: _reachable(graph, node) for node in graph}
    found: list[set[str]] = []
    for node in graph:
        group = {other for other in reached[node] if node in reached[other]}
        if len(group) > 1 and group not in found:
            found.append(group)
    return found


def _reachable(graph: Mapping[str, set[str]], start: str) -> set[str]:
    seen: set[str] = set()
    waiting = list(graph[start])
    while waiting:
        node = waiting.pop()
        if node not in seen:
            seen.add(node)
            waiting += graph[node]
    return seen
