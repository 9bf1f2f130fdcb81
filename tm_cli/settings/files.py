"""Settings files: where they are found and what they may hold."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tm_cli.errors import ConfigurationError
from tm_cli.gate_limits import read_limits
from tm_cli.settings.definitions import DEFINITIONS, NO_CONTEXT, parse_context_name

PROJECT_FILE = "tm.toml"
USER_FILE = "config.toml"

_SECRETS = frozenset(name for name, item in DEFINITIONS.items() if item.secret)
_NOT_IN_PROJECTS = frozenset(name for name, item in DEFINITIONS.items() if item.personal)
"""What a repository must not decide for whoever checks it out."""

LIMITS = "gate"
CONTEXTS = "contexts"
"""These tables are no settings, because neither flag nor variable could hold them."""


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """A settings file; every value is kept as the text that a flag would have.

    `limits` is its table of limits, in the form that the API takes; `contexts` are tables of
    settings by name.
    """

    path: Path
    values: Mapping[str, str]
    limits: Mapping[str, Any] = field(default_factory=dict)
    contexts: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


def find_project_file(cwd: Path) -> ConfigFile | None:
    """Return the nearest `tm.toml`, or `[tool.tm]` of a pyproject.toml, at or above `cwd`."""
    for directory in (cwd, *cwd.parents):
        if (path := directory / PROJECT_FILE).is_file():
            return _project(path, _parse(path))
        if (path := directory / "pyproject.toml").is_file():
            table = _parse(path).get("tool", {}).get("tm")
            if isinstance(table, dict):
                return _project(path, table)
    return None


def project_root(cwd: Path) -> Path:
    """The directory that a project's files belong to: of its settings, its repository, or `cwd`."""
    for directory in (cwd, *cwd.parents):
        if any((directory / name).exists() for name in (PROJECT_FILE, "pyproject.toml", ".git")):
            return directory
    return cwd


def _project(path: Path, table: Mapping[str, Any]) -> ConfigFile:
    if found := sorted(_SECRETS & table.keys()):
        raise ConfigurationError(
            f"{path} holds an API key; a project file is shared, a key is not",
            hint=f"remove it there, revoke that key, and set {DEFINITIONS[found[0]].variable}",
        )
    if CONTEXTS in table:
        raise ConfigurationError(
            f"{path} has contexts, which are not a project's to define",
            hint="define them in your own file; a project may name one with `context`",
        )
    for name in sorted(_NOT_IN_PROJECTS & table.keys()):
        raise ConfigurationError(
            f"{path} sets {name}, which is not a project's choice",
            hint=f"set it in your own file, or as {DEFINITIONS[name].variable}",
        )
    return _config_file(path, table)


def read_user_file(path: Path) -> ConfigFile | None:
    """Return the user's own file, None when there is none; a key in it must be private."""
    if not path.is_file():
        return None
    table = _parse(path)
    tables = _contexts(path, table.pop(CONTEXTS, {}))
    if (
        any(_SECRETS & keys.keys() for keys in (table, *tables.values()))
        and os.name == "posix"
        and path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)
    ):
        raise ConfigurationError(
            f"{path} holds an API key and others may read it", hint=f"chmod 600 {path}"
        )
    return replace(_config_file(path, table), contexts=tables)


def _contexts(path: Path, table: Any) -> dict[str, dict[str, str]]:
    if not isinstance(table, dict) or not all(isinstance(own, dict) for own in table.values()):
        raise ConfigurationError(
            f"{CONTEXTS} in {path} is not a table of tables", hint="write [contexts.NAME]"
        )
    return {_context_name(path, name): _context(path, name, own) for name, own in table.items()}


def _context_name(path: Path, name: str) -> str:
    if name == NO_CONTEXT:
        raise ConfigurationError(f"{path} has a context {name!r}, which means no context")
    try:
        return parse_context_name(name)
    except ValueError as problem:
        raise ConfigurationError(f"{path} has a context {name!r}: {problem}") from None


def _context(path: Path, name: str, own: Mapping[str, Any]) -> dict[str, str]:
    for not_there in ("context", LIMITS):
        if not_there in own:
            raise ConfigurationError(f"{path} sets {not_there} in a context, where it cannot stand")
    return _texts(path, own, f"[{CONTEXTS}.{name}]")


def _config_file(path: Path, table: Mapping[str, Any]) -> ConfigFile:
    settings = {name: value for name, value in table.items() if name != LIMITS}
    try:
        limits = read_limits(table.get(LIMITS, {}))
    except ValueError as problem:
        raise ConfigurationError(f"{path} is not usable: {problem}") from None
    return ConfigFile(path, _texts(path, settings), limits)


def _parse(path: Path) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as problem:
        raise ConfigurationError(f"cannot read {path}: {problem.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
        raise ConfigurationError(f"{path} is not valid TOML: {problem}") from None


def _texts(path: Path, table: Mapping[str, Any], where: str = "") -> dict[str, str]:
    values = {}
    for name, value in table.items():
        if name not in DEFINITIONS:
            import difflib

            near = difflib.get_close_matches(name, [*DEFINITIONS, LIMITS, CONTEXTS], n=1)
            hint = f"did you mean {near[0]}?" if near else "`tm config show` lists the settings"
            inside = f" in {where}" if where else ""
            raise ConfigurationError(f"{path} has an unknown setting {name!r}{inside}", hint=hint)
        values[name] = _as_text(path, name, value)
    return values


def _as_text(path: Path, name: str, value: Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case str() | int() | float():
            return str(value)
        case list() if all(isinstance(item, str) for item in value):
            return ",".join(value)
    raise ConfigurationError(f"{name} in {path} is neither text nor a number nor a list of texts")
