"""Which value is in effect, and where it comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from pathlib import Path
from typing import Any

from tm_cli.api_key import ApiKey
from tm_cli.base_url import LOCAL, is_loopback, is_plain_http, parse_base_url, quote_base_url
from tm_cli.errors import ConfigurationError, TmError, UsageError
from tm_cli.settings.definitions import DEFINITIONS, Definition
from tm_cli.settings.files import USER_FILE, ConfigFile, find_project_file, read_user_file
from tm_cli.settings.keys import read_key_file


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
class Setting:
    """An effective value and its origin."""

    definition: Definition
    value: Any
    origin: Origin


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

    @property
    def limits(self) -> dict[str, tuple[Any, Origin]]:
        """The limits of the files and the file of each; the project's beat the user's, one by one.

        What is not there is left to the server.
        """
        found: dict[str, tuple[Any, Origin]] = {}
        for source, file in ((Source.USER, self.user), (Source.PROJECT, self.project)):
            if file is not None:
                origin = Origin(source, str(file.path))
                found |= {name: (value, origin) for name, value in file.limits.items()}
        return found

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


def load_settings(
    flags: Mapping[str, Any], environ: Mapping[str, str], *, cwd: Path, user_dir: Path
) -> Settings:
    """Find and read the settings files; values are validated when they are asked for."""
    return Settings(
        flags=flags,
        environ=environ,
        project=find_project_file(cwd),
        user=read_user_file(user_dir / USER_FILE),
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
