"""Settings files: where they are found and what they may hold."""

from __future__ import annotations

import errno
import os
import re
import shlex
import stat
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from tm_cli.errors import ConfigurationError
from tm_cli.runtime.trusted_files import TRUSTED_OWNERS, is_trusted_owner
from tm_cli.settings.definitions import (
    DEFINITIONS,
    NO_CONTEXT,
    OTHER_VARIABLES,
    parse_context_name,
)
from tm_cli.values.text import did_you_mean, sanitize
from tm_cli.values.thresholds import InvalidThreshold, read_thresholds

_ALIKE = 0.8
"""How alike two names are, from 0 to 1, when one is taken for a spelling of the other."""
_OF_THE_GATE = {
    "TM_FAIL_ON": re.compile(r"TM_FAIL.*|(?:TRAFFIC_?MORPH|RUNLOOP|STRAIT)_FAIL_?ON"),
    "TM_ASSERT": re.compile(r"TM_ASSERT.*|(?:TRAFFIC_?MORPH|RUNLOOP|STRAIT)_ASSERT"),
    "TM_ABORT_IF": re.compile(r"TM_ABORT.*|(?:TRAFFIC_?MORPH|RUNLOOP|STRAIT)_ABORT_?IF"),
}
"""What decides a verdict, and the names that can mean nothing else."""

PROJECT_FILE = "tm.toml"
PYPROJECT = "pyproject.toml"
USER_FILE = "config.toml"
_MISNAMED_FILE = ".tm.toml"
_MISSPELT_TABLE = re.compile(r"(?:tools?\.)?tm(?:[-_]?cli)?", re.IGNORECASE)
"""Of a pyproject.toml: no other program has a table like these."""

_SECRETS = frozenset(name for name, item in DEFINITIONS.items() if item.secret)
_NOT_IN_PROJECTS = frozenset(name for name, item in DEFINITIONS.items() if item.personal)
"""What a repository must not decide for the users who check it out."""

_NAMES_OF_USER_DIR = ("TM_CONFIG_DIR", "XDG_CONFIG_HOME")
"""Variables with which the user names the directory of the user file."""

GATE = "gate"
CONTEXTS = "contexts"
"""Tables, which are not settings: neither a flag nor a variable could hold them."""


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """A settings file; every value is kept as the text that a flag would have.

    `thresholds` is its table `gate`, in the form that the API takes; `contexts` are tables of
    settings by name, `lines` says where keys are.
    """

    path: Path
    values: Mapping[str, str]
    thresholds: Mapping[str, Any] = field(default_factory=dict)
    contexts: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    lines: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class IgnoredSource:
    """A settings file or a variable that is not used, although it may have been meant to be.

    `owner` is the id of a user who is not trusted, where that is why.
    """

    place: str
    message: str
    hint: str
    owner: int | None = None

    @classmethod
    def of_another_user(cls, path: Path, owner: int) -> IgnoredSource:
        """A file whose owner is not trusted."""
        return cls(
            str(path),
            f"{path} is not read, because it belongs to another user (id {owner})",
            f"change its owner (chown), or trust that user with {TRUSTED_OWNERS}={owner}",
            owner,
        )

    @classmethod
    def misnamed(cls, path: Path, name: str) -> IgnoredSource:
        """A file with nearly the name of a settings file."""
        return cls(str(path), f"{path} is not read", f"the name of a settings file here is {name}")


def misspelt_variables(environ: Mapping[str, str]) -> Iterator[IgnoredSource]:
    """Variables that nearly have the name of a setting: TM_FAILON would be a gate without verdicts.

    One with a word more, such as TM_API_KEY_STAGING, is the user's own; TM_FAIL_... never is.
    """
    known = {item.variable for item in DEFINITIONS.values()} | OTHER_VARIABLES
    for name in sorted(environ.keys() - known):
        if near := _nearest(name.upper(), known):
            yield IgnoredSource(name, f"the variable {name} means nothing to tm", near)


def _nearest(name: str, known: Collection[str]) -> str:
    """Return the question whether another variable was meant, empty for a name of another kind."""
    for other, pattern in _OF_THE_GATE.items():
        if pattern.fullmatch(name):
            return f"did you mean {other}?"
    words = re.findall(r"[^\W_]+", name)
    if not "".join(words).startswith("TM"):
        return ""
    for other in sorted(known):
        if "".join(words) == other.replace("_", "") or sorted(words) == sorted(other.split("_")):
            return f"did you mean {other}?"
    is_own = words[0] != "TM" or any(set(words) > set(other.split("_")) for other in known)
    return "" if is_own else did_you_mean(name, known, alike=_ALIKE)


@dataclass(frozen=True)
class _Content:
    """The bytes of a file, and what the system says of exactly that file.

    `other_owner` is the id of its owner, or of the owner of the link to it, if not trusted.
    """

    path: Path
    data: bytes
    status: os.stat_result
    other_owner: int | None

    @cached_property
    def table(self) -> dict[str, Any]:
        """The TOML in it; raises ConfigurationError."""
        return _parse(self.path, self.data)


def find_project_file(
    cwd: Path, environ: Mapping[str, str]
) -> tuple[ConfigFile | None, list[IgnoredSource]]:
    """Return the project file for `cwd`, and the files that are ignored.

    It is the nearest `tm.toml`, or `[tool.tm]` of a pyproject.toml, at or above `cwd`. `environ`
    says whom the user trusts. Files of others above the repository do not belong to this project
    and are passed over silently. A pyproject.toml belongs to other programs as well: one that
    cannot be read is ignored, one that is broken is an error only where it may have settings.
    """
    ignored = []
    for path, is_inside in _project_files(cwd):
        try:
            content = _read(path, environ)
        except ConfigurationError as error:
            if path.name == PROJECT_FILE:
                raise
            ignored.append(IgnoredSource(str(path), error.message, error.hint or ""))
            continue
        may_count = _may_have_settings(content)
        if content.other_owner is not None:
            if is_inside and may_count:
                ignored.append(IgnoredSource.of_another_user(path, content.other_owner))
            continue
        ignored += _misspelt(content)
        if not may_count:
            continue
        table, file = content.table, _File(path, _lines(content.data))
        found = table if path.name == PROJECT_FILE else _tool_table(file, table)
        if found is not None:
            return _project(file, found), [*ignored, *_second_file(path, environ)]
    return None, ignored


def _second_file(path: Path, environ: Mapping[str, str]) -> Iterator[IgnoredSource]:
    """Settings in the pyproject.toml of the same directory, which a tm.toml would hide."""
    second = path.with_name(PYPROJECT)
    if path == second or not _is_there(second):
        return
    with suppress(ConfigurationError):
        if _may_have_settings(_read(second, environ)):
            yield IgnoredSource(
                str(second),
                f"[tool.tm] in {second} is not read, because {path.name} is in the same directory",
                "keep the settings in one of the two files",
            )


def _misspelt(content: _Content) -> Iterator[IgnoredSource]:
    """What has nearly the name of the settings: `.tm.toml`, or a table such as `[tool.tm-cli]`."""
    path = content.path
    if path.name == _MISNAMED_FILE:
        yield IgnoredSource.misnamed(path, PROJECT_FILE)
    elif path.name == PYPROJECT:
        with suppress(ConfigurationError):
            for name in _misspelt_tables(content.table):
                message = f"{path} has [{name}], which means nothing to tm"
                yield IgnoredSource(str(path), message, "did you mean [tool.tm]?")


def _misspelt_tables(table: Mapping[str, Any]) -> Iterator[str]:
    for outer, inner in table.items():
        within = inner if outer in ("tool", "tools") and isinstance(inner, dict) else ()
        for names in ((outer,), *((outer, name) for name in within)):
            if names != ("tool", "tm") and _MISSPELT_TABLE.fullmatch(".".join(names)):
                yield ".".join(f'"{name}"' if "." in name else name for name in names)


def _tool_table(file: _File, table: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return `[tool.tm]` of a pyproject.toml that has it.

    Anything else under that name, such as `[[tool.tm]]`, is an error: it was meant as settings.
    """
    tools = table.get("tool", {})
    found = tools.get("tm") if isinstance(tools, dict) else tools
    if found is not None and not isinstance(found, dict):
        raise ConfigurationError(f"{file.at('')}: tool.tm must be a table", hint="write [tool.tm]")
    return found


def _project_files(cwd: Path) -> Iterator[tuple[Path, bool]]:
    """The files that may hold a project's settings, and whether each is in the repository."""
    is_inside = True
    for directory in (cwd, *cwd.parents):
        for name in (_MISNAMED_FILE, PROJECT_FILE, PYPROJECT):
            if _is_there(path := directory / name):
                yield path, is_inside
        is_inside = is_inside and not os.path.lexists(directory / ".git")


def _is_there(path: Path) -> bool:
    """Whether anything has this name, be it a link that leads nowhere: settings may be lost.

    Raises ConfigurationError when that cannot be found out.
    """
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as problem:
        raise ConfigurationError(
            f"cannot look for settings in {path}: {problem.strerror}", hint=_unreachable(path)
        ) from None
    return True


def _unreachable(path: Path) -> str:
    if path.name == USER_FILE:
        return "TM_CONFIG_DIR names another directory"
    return "change to a directory that this user may enter"


def project_root(cwd: Path) -> Path:
    """The directory that a project's files belong to: of its settings, its repository, or `cwd`."""
    for directory in (cwd, *cwd.parents):
        names = (PROJECT_FILE, PYPROJECT, ".git")
        if any(os.path.lexists(directory / name) for name in names):
            return directory
    return cwd


def _may_have_settings(content: _Content) -> bool:
    """Whether a pyproject.toml has `tool.tm`; a broken one may, if the key is anywhere in it."""
    if content.path.name != PYPROJECT:
        return content.path.name == PROJECT_FILE
    try:
        tools = content.table.get("tool")
    except ConfigurationError:
        data = content.data
        return data == _UNKNOWN or _KEY.search(data.replace(b"\0", b"")) is not None
    tables = tools if isinstance(tools, list) else [tools]
    return any(isinstance(table, dict) and "tm" in table for table in tables)


def _project(file: _File, table: Mapping[str, Any]) -> ConfigFile:
    if found := sorted(_SECRETS & table.keys()):
        raise ConfigurationError(
            f"{file.at(found[0])} holds an API key; a project file is shared, a key is not",
            hint=f"remove it there, revoke that key, and set {DEFINITIONS[found[0]].variable}",
        )
    if CONTEXTS in table:
        raise ConfigurationError(
            f"{file.at(CONTEXTS)} has contexts, which are not a project's to define",
            hint="define them in your own file; a project may name one with `context`",
        )
    for name in sorted(_NOT_IN_PROJECTS & table.keys()):
        raise ConfigurationError(
            f"{file.at(name)} sets {name}, which is not a project's choice",
            hint=f"set it in your own file, or as {DEFINITIONS[name].variable}",
        )
    return _config_file(file, table)


def read_user_file(
    path: Path, environ: Mapping[str, str], *, project: Path | None = None
) -> tuple[ConfigFile | None, list[IgnoredSource]]:
    """Return the user's own file, None when there is none or it belongs to another user.

    A key in it must be private. A tm.toml in its place is ignored, unless it is that of the
    `project`.
    """
    if _is_in_the_home_of_another_user(path, environ):
        return None, []
    if not _is_there(path):
        misnamed = path.with_name(PROJECT_FILE)
        is_lost = _is_there(misnamed) and not (project and _is_same_file(misnamed, project))
        return None, [IgnoredSource.misnamed(misnamed, USER_FILE)] if is_lost else []
    content = _read(path, environ)
    if content.other_owner is not None:
        return None, [IgnoredSource.of_another_user(path, content.other_owner)]
    table, file = dict(content.table), _File(path, _lines(content.data))
    tables = _contexts(file, table.pop(CONTEXTS, {}))
    if (
        any(_SECRETS & keys.keys() for keys in (table, *tables.values()))
        and os.name == "posix"
        and content.status.st_mode & (stat.S_IRWXG | stat.S_IRWXO)
    ):
        raise ConfigurationError(
            f"{path} holds an API key and others may read it",
            hint=f"chmod 600 {shlex.quote(str(path))}",
        )
    return replace(_config_file(file, table), contexts=tables), []


def _is_same_file(one: Path, other: Path) -> bool:
    with suppress(OSError):
        return one.samefile(other)
    return False


def _is_in_the_home_of_another_user(path: Path, environ: Mapping[str, str]) -> bool:
    """Whether it may not be looked at there, as in the home of root that `sudo -u` leaves in HOME.

    A directory that the user has named, or that is the user's own, may have had settings.
    """
    if os.name != "posix" or any(name in environ for name in _NAMES_OF_USER_DIR):
        return False
    for place in (path, *path.parents):
        try:
            return place.stat().st_uid != os.geteuid() and place != path
        except PermissionError:
            continue
        except OSError:
            break
    return False


def _contexts(file: _File, table: Any) -> dict[str, dict[str, str]]:
    if not isinstance(table, dict) or not all(isinstance(own, dict) for own in table.values()):
        raise ConfigurationError(
            f"{file.at(CONTEXTS)}: {CONTEXTS} must be a table of tables",
            hint="write [contexts.NAME]",
        )
    return {_context_name(file, name): _context(file, name, own) for name, own in table.items()}


def _context_name(file: _File, name: str) -> str:
    place = file.at(f"{CONTEXTS}.{name}")
    if name == NO_CONTEXT:
        raise ConfigurationError(f"{place} has a context {name!r}, which means no context")
    try:
        return parse_context_name(name)
    except ValueError as problem:
        raise ConfigurationError(f"{place} has a context {name!r}: {problem}") from None


def _context(file: _File, name: str, own: Mapping[str, Any]) -> dict[str, str]:
    for not_there in ("context", GATE):
        if not_there in own:
            place = file.at(f"{CONTEXTS}.{name}.{not_there}")
            raise ConfigurationError(
                f"{place} sets {not_there} in a context, where it cannot stand"
            )
    return _texts(file, own, f"{CONTEXTS}.{name}")


def _config_file(file: _File, table: Mapping[str, Any]) -> ConfigFile:
    settings = {name: value for name, value in table.items() if name != GATE}
    try:
        thresholds = read_thresholds(table.get(GATE, {}))
    except InvalidThreshold as problem:
        place = file.at(".".join((GATE, *problem.path)))
        own = table[GATE] if isinstance(table[GATE], dict) else {}
        hint = next((f"write {name} above [{GATE}]" for name in own if name in DEFINITIONS), None)
        raise ConfigurationError(f"{place} is invalid: {problem}", hint=hint) from None
    return ConfigFile(file.path, _texts(file, settings), thresholds, lines=file.lines)


def _read(path: Path, environ: Mapping[str, str]) -> _Content:
    """Read a file and its owner through the same descriptor: the file could be replaced.

    The owner of a link counts as well: it could choose any file of the user. A file of another
    user that cannot be read is not an error, else it would stop every command.
    """
    try:
        named = path.lstat()
        is_link = stat.S_ISLNK(named.st_mode)
        try:
            data, status = _bytes_and_status(path, follow=is_link)
        except OSError:
            if is_trusted_owner(named.st_uid, environ):
                raise
            data, status = _UNKNOWN, named
    except OSError as problem:
        raise ConfigurationError(
            f"cannot read {path}: {problem.strerror}",
            hint="mend or remove it; a gate without its settings could pass by mistake",
        ) from None
    owners = (named.st_uid, status.st_uid) if is_link else (status.st_uid,)
    others = [uid for uid in owners if not is_trusted_owner(uid, environ)]
    return _Content(path, data, status, others[0] if others else None)


_KEY = re.compile(rb"(?<![\w-])tm(?![\w-])|\\(?:u00|U000000|x)(?:74|6[dD])")
"""The key, or one of its letters as an escape sequence."""

_UNKNOWN = b"\0"
"""Stands for what cannot be read; it is not TOML, so that settings may have been in it."""


def _bytes_and_status(path: Path, *, follow: bool) -> tuple[bytes, os.stat_result]:
    def open_it(name: str, flags: int) -> int:
        flags |= getattr(os, "O_NONBLOCK", 0)  # a pipe must not hold us up
        return os.open(name, flags | (0 if follow else getattr(os, "O_NOFOLLOW", 0)))

    with open(path, "rb", opener=open_it) as file:
        status = os.fstat(file.fileno())
        if stat.S_ISCHR(status.st_mode):  # a link to /dev/null stands for an empty file
            return b"", status
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file")
        return file.read(), status


def _parse(path: Path, data: bytes) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(data.decode("utf-8-sig"))
    except RecursionError:
        raise ConfigurationError(f"{path} is not valid TOML: nested too deeply") from None
    except UnicodeDecodeError as problem:
        line = data.count(b"\n", 0, problem.start) + 1
        raise ConfigurationError(
            f"{path}, line {line}, is not valid TOML: it is not UTF-8",
            hint="save it with the encoding UTF-8",
        ) from None
    except tomllib.TOMLDecodeError as problem:
        text, _, place = str(problem).partition(" (at ")
        number = place.removeprefix("line ").partition(",")[0]
        line = int(number) if number.isdigit() else data.count(b"\n") + 1
        raise ConfigurationError(
            f"{path}, line {line}, is not valid TOML: {sanitize(text)}"
        ) from None
    except ValueError:
        raise ConfigurationError(f"{path} is not valid TOML: a number is too long") from None


def _texts(file: _File, table: Mapping[str, Any], where: str = "") -> dict[str, str]:
    values = {}
    for name, value in table.items():
        place = file.at(f"{where}.{name}".lstrip("."))
        if name not in DEFINITIONS:
            inside = f" in [{where}]" if where else ""
            problem = f"{place} has an unknown setting {name!r}{inside}"
            raise ConfigurationError(problem, hint=_instead(file, name))
        values[name] = _as_text(place, name, value)
    return values


def _instead(file: _File, name: str) -> str:
    if name in ("tool", "tm") and file.path.name != PYPROJECT:
        return f"the settings of {file.path.name} stand in no table"
    known = [*DEFINITIONS, GATE, CONTEXTS]
    return did_you_mean(
        name.lower().replace("-", "_"), known, "`tm config show` lists the settings"
    )


def _as_text(place: str, name: str, value: Any) -> str:
    """The text that a flag would have; a number is one only to a setting that is a number."""
    if not isinstance(value, str | list) and DEFINITIONS[name].is_text:
        raise ConfigurationError(f"{place}: {name} must be text; write it in quotes")
    match value:
        case bool():
            return str(value).lower()
        case str() | int() | float():
            return str(value)
        case list() if all(isinstance(item, str) for item in value):
            return ",".join(value)
    raise ConfigurationError(f"{place}: {name} must be a text, a number or a list of texts")


@dataclass(frozen=True, slots=True)
class _File:
    """A settings file for messages: its path, and the lines of its keys."""

    path: Path
    lines: Mapping[str, int]

    def at(self, key: str) -> str:
        """The path, with the line of a key or of the nearest table that it is in."""
        while key and key not in self.lines:
            key = key.rpartition(".")[0]
        return f"{self.path}, line {self.lines[key]}" if key in self.lines else str(self.path)


_TABLE = re.compile(r"\s*\[{1,2}([^\[\]]+)\]{1,2}\s*(?:#.*)?")
_ASSIGNMENT = re.compile(r"""\s*((?:"[^"]*"|'[^']*'|[\w. -])+?)\s*=""")


def _lines(data: bytes) -> dict[str, int]:
    """The lines, from 1, in which tables and keys begin; those of `tool.tm` without that prefix."""
    found: dict[str, int] = {}
    table = ""
    for number, line in enumerate(data.decode("utf-8-sig", "replace").splitlines(), 1):
        if header := _TABLE.fullmatch(line):
            key = table = _plain_key(header[1])
        elif assignment := _ASSIGNMENT.match(line):
            key = f"{table}.{_plain_key(assignment[1])}".lstrip(".")
        else:
            continue
        key = re.sub(r"^tool(?:\.tm)?(?:\.|$)", "", key)
        while key:
            found.setdefault(key, number)
            key = key.rpartition(".")[0]
    return found


def _plain_key(text: str) -> str:
    return re.sub(r"[\s\"']", "", text)
