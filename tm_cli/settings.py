"""Settings: flag, then variable, then project file, then user file, then default.

Every value remembers its origin, so that `tm config show` and error messages can name it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from pathlib import Path
from typing import Any

from tm_cli.api_key import ApiKey
from tm_cli.base_url import LOCAL, is_loopback, is_plain_http, parse_base_url, quote_base_url
from tm_cli.durations import parse_duration
from tm_cli.errors import ConfigurationError, TmError, UsageError

PROJECT_FILE = "tm.toml"
USER_FILE = "config.toml"

_NOT_IN_PROJECTS = frozenset({"api_key_file", "allow_insecure_http", "allow_public_targets"})
"""What a repository must not decide for whoever checks it out."""


class Source(Enum):
    """Where a value can come from, strongest first."""

    FLAG = "flag"
    VARIABLE = "variable"
    PROJECT = "project file"
    USER = "user file"
    DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Origin:
    """A source and the flag, variable or path within it."""

    source: Source
    place: str = ""

    def __str__(self) -> str:
        return f"{self.source.value} {self.place}".strip()


@dataclass(frozen=True, slots=True)
class Definition:
    """One setting: its name in files, how its text is read, and its default."""

    name: str
    read: Callable[[str], Any]
    default: Any
    help: str
    secret: bool = False

    @property
    def variable(self) -> str:
        """The environment variable of this setting."""
        return "TM_" + self.name.upper()

    @property
    def flag(self) -> str:
        """The command-line option of this setting."""
        return "--" + self.name.replace("_", "-")


@dataclass(frozen=True, slots=True)
class Setting:
    """An effective value and its origin."""

    definition: Definition
    value: Any
    origin: Origin


def _positive(text: str) -> float:
    seconds = parse_duration(text)
    if seconds <= 0:
        raise ValueError("it must be longer than zero")
    return seconds


def _poll_interval(text: str) -> float | None:
    """`auto` is None."""
    return None if text.strip().lower() == "auto" else _positive(text)


def _boolean(text: str) -> bool:
    match text.strip().lower():
        case "1" | "true" | "yes" | "on":
            return True
        case "0" | "false" | "no" | "off":
            return False
    raise ValueError(f"{text!r} is neither true nor false")


def _text(text: str) -> str:
    if not text.strip():
        raise ValueError("it is empty")
    return text.strip()


DEFINITIONS = {
    definition.name: definition
    for definition in (
        Definition(
            "base_url",
            parse_base_url,
            None,
            "Server address; `local` asks for the embedded server.",
        ),
        Definition("api_key", ApiKey, None, "API key.", secret=True),
        Definition("api_key_file", _text, None, "File that holds the API key."),
        Definition("timeout", _positive, 30.0, "Longest time for one request."),
        Definition("wait_timeout", _positive, 1800.0, "Longest wait for the run to end."),
        Definition(
            "verdict_timeout",
            parse_duration,
            60.0,
            "Longest wait for the verdict after the run has ended.",
        ),
        Definition(
            "poll_interval",
            _poll_interval,
            None,
            "Pause between two looks at the run; `auto` paces itself.",
        ),
        Definition("fail_on", _text, None, "Verdicts that fail the gate."),
        Definition("region", _text, None, "Region that generates the load."),
        Definition("data_dir", _text, None, "Directory of the embedded server."),
        Definition("ca_file", _text, None, "Certificates (PEM) to trust instead of the system's."),
        Definition(
            "allow_insecure_http",
            _boolean,
            False,
            "Permit plain http to a host that is not this machine.",
        ),
        Definition(
            "allow_public_targets",
            _boolean,
            False,
            "Let the embedded server send load to public addresses.",
        ),
    )
}


@dataclass(frozen=True)
class Settings:
    """The effective settings of one invocation, read lazily and validated one by one."""

    flags: Mapping[str, Any]
    environ: Mapping[str, str]
    project: ConfigFile | None
    user: ConfigFile | None

    def __getitem__(self, name: str) -> Setting:
        """Return the effective setting.

        Raises UsageError for a bad flag, ConfigurationError for a bad variable or file entry.
        """
        definition = DEFINITIONS[name]
        for origin, text in self._candidates(definition):
            return Setting(definition, _read(definition, origin, text), origin)
        return Setting(definition, definition.default, Origin(Source.DEFAULT))

    def value(self, name: str) -> Any:
        """Return just the effective value."""
        return self[name].value

    def _candidates(self, definition: Definition) -> list[tuple[Origin, str]]:
        found = []
        if (flag := self.flags.get(definition.name)) is not None:
            found.append((Origin(Source.FLAG, definition.flag), str(flag)))
        if (variable := self.environ.get(definition.variable)) is not None:
            found.append((Origin(Source.VARIABLE, definition.variable), variable))
        for source, file in ((Source.PROJECT, self.project), (Source.USER, self.user)):
            if file is not None and definition.name in file.values:
                found.append((Origin(source, str(file.path)), file.values[definition.name]))
        return found

    @cached_property
    def server(self) -> str | None:
        """The base URL ending in `/`, `local`, or None when no server is configured.

        Raises ConfigurationError when a key would travel unencrypted to another machine.
        """
        setting = self["base_url"]
        url: str | None = setting.value
        if url in (None, LOCAL):
            return url
        if is_plain_http(url) and not is_loopback(url) and not self.value("allow_insecure_http"):
            raise _refusal(
                setting.origin,
                "base_url: plain http would send the API key unencrypted to another machine",
                hint="use https, or permit it with TM_ALLOW_INSECURE_HTTP=true",
            )
        return url

    @cached_property
    def key(self) -> ApiKey:
        """The API key for the configured server.

        Raises ConfigurationError when there is none, when its file cannot be read, or when it
        would go to a server that only a project file names.
        """
        key, file = self["api_key"], self["api_key_file"]
        strongest = min((key, file), key=lambda setting: list(Source).index(setting.origin.source))
        if strongest.value is None:
            raise ConfigurationError(
                "no API key is configured", hint="set TM_API_KEY, or api_key_file in a file"
            )
        self._check_binding()
        return strongest.value if strongest is key else read_key_file(Path(strongest.value))

    def _check_binding(self) -> None:
        """Keep the key from a server that only a checked-out file names.

        Whoever can write to a repository could have everybody's key sent to them.
        """
        url = self["base_url"]
        if url.origin.source is not Source.PROJECT or url.value == LOCAL or is_loopback(url.value):
            return
        trusted = self.user.values.get("base_url") if self.user else None
        if trusted is None or parse_base_url(trusted) != url.value:
            raise ConfigurationError(
                f"the API key is not sent to {url.value}, which only {url.origin.place} names",
                hint="confirm the server with TM_BASE_URL, or as base_url in your own file",
            )


def _read(definition: Definition, origin: Origin, text: str) -> Any:
    try:
        return definition.read(text)
    except ValueError as problem:
        shown = quote_base_url(text) + ": " if definition.name == "base_url" else ""
        name = origin.place
        if origin.source in (Source.PROJECT, Source.USER):
            name = f"{definition.name} in {origin.place}"
        raise _refusal(origin, f"{name} is not usable: {shown}{problem}") from None


def _refusal(origin: Origin, message: str, *, hint: str | None = None) -> TmError:
    if origin.source is Source.FLAG:
        return UsageError(message, hint=hint)
    return ConfigurationError(message, hint=hint or "`tm config show` prints what is in effect")


def read_key_file(path: Path) -> ApiKey:
    """Return the key in `path`, without the line break at its end."""
    try:
        text = path.expanduser().read_text(encoding="utf-8", errors="surrogateescape")
        return ApiKey(text.removesuffix("\n").removesuffix("\r"))
    except OSError as problem:
        raise ConfigurationError(
            f"cannot read the API key file {path}: {problem.strerror}"
        ) from None
    except ValueError as problem:
        raise ConfigurationError(f"{path}: {problem}") from None


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """A settings file; every value is kept as the text that a flag would have."""

    path: Path
    values: Mapping[str, str]


def load_settings(
    flags: Mapping[str, Any], environ: Mapping[str, str], *, cwd: Path, user_dir: Path
) -> Settings:
    """Find and read the settings files; values are validated when they are asked for."""
    return Settings(
        flags=flags,
        environ=environ,
        project=find_project_file(cwd),
        user=_user_file(user_dir / USER_FILE),
    )


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
    if "api_key" in table:
        raise ConfigurationError(
            f"{path} holds an API key; a project file is shared, a key is not",
            hint="remove it there, revoke that key, and set TM_API_KEY",
        )
    for name in sorted(_NOT_IN_PROJECTS & table.keys()):
        raise ConfigurationError(
            f"{path} sets {name}, which is not a project's choice",
            hint=f"set it in your own file, or as {DEFINITIONS[name].variable}",
        )
    return ConfigFile(path, _texts(path, table))


def _user_file(path: Path) -> ConfigFile | None:
    if not path.is_file():
        return None
    table = _parse(path)
    if (
        "api_key" in table
        and os.name == "posix"
        and path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)
    ):
        raise ConfigurationError(
            f"{path} holds an API key and others may read it", hint=f"chmod 600 {path}"
        )
    return ConfigFile(path, _texts(path, table))


def _parse(path: Path) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as problem:
        raise ConfigurationError(f"cannot read {path}: {problem.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
        raise ConfigurationError(f"{path} is not valid TOML: {problem}") from None


def _texts(path: Path, table: Mapping[str, Any]) -> dict[str, str]:
    values = {}
    for name, value in table.items():
        if name not in DEFINITIONS:
            import difflib

            near = difflib.get_close_matches(name, DEFINITIONS, n=1)
            hint = f"did you mean {near[0]}?" if near else "`tm config show` lists the settings"
            raise ConfigurationError(f"{path} has an unknown setting {name!r}", hint=hint)
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
