"""From sources to values: which layer of settings is in effect, and where each value comes from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from typing import Any

from tm_cli.errors import ConfigurationError, TmError, UsageError
from tm_cli.settings.credentials import StoredKeys
from tm_cli.settings.definitions import (
    DEFINITIONS,
    ENDPOINT,
    NO_CONTEXT,
    SYSTEMS,
    TRAFFICMORPH,
    Definition,
    setting_name,
)
from tm_cli.settings.files import ConfigFile, IgnoredSource
from tm_cli.values.text import without_text
from tm_cli.values.urls import quote_base_url


class Source(Enum):
    """Where a value can come from; docs/configuration.md has their order."""

    FLAG = "flag"
    VARIABLE = "variable"
    CONTEXT = "context"
    PROJECT = "project file"
    STORED = "stored key"
    USER = "user file"
    DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Origin:
    """A source and the flag, variable, name or path within it."""

    source: Source
    place: str = ""

    def __str__(self) -> str:
        return f"{self.source.value} {self.place}".strip()


@dataclass(frozen=True, slots=True)
class Setting:
    definition: Definition
    value: Any
    origin: Origin


@dataclass(frozen=True, slots=True)
class Layer:
    """The texts of one source by name of setting; `place` is its path or name.

    `lines` says where in a file each is.
    """

    source: Source
    values: Mapping[str, str]
    place: str = ""
    lines: Mapping[str, int] = field(default_factory=dict)

    def origin(self, definition: Definition) -> Origin:
        """Return where this layer has the value of a setting."""
        match self.source:
            case Source.FLAG:
                return Origin(self.source, definition.flag)
            case Source.VARIABLE:
                return Origin(self.source, definition.variable)
        return Origin(self.source, self.place)

    def read(self, definition: Definition) -> Setting | None:
        """Return the setting if this layer has it.

        Raises UsageError for a bad flag, ConfigurationError for a bad variable or entry.
        """
        if (text := self.values.get(definition.name)) is None:
            return None
        origin = self.origin(definition)
        try:
            return Setting(definition, definition.read(text), origin)
        except ValueError as problem:
            is_url = definition.name.endswith("base_url")
            shown = quote_base_url(text) + ": " if is_url else ""
            inside = self.source in (Source.CONTEXT, Source.PROJECT, Source.USER)
            line = f", line {self.lines[definition.name]}" if definition.name in self.lines else ""
            name = f"{definition.name} in {_named(origin)}{line}" if inside else origin.place
            raise refusal(origin, f"{name}: {shown}{problem}") from None


def refusal(origin: Origin, message: str, *, hint: str | None = None) -> TmError:
    """Return the error for a value that cannot be used: a flag is usage, the rest is set up."""
    if origin.source is Source.FLAG:
        return UsageError(message, hint=hint)
    return ConfigurationError(message, hint=hint or "`tm config show` prints what is in effect")


def _named(origin: Origin) -> str:
    return str(origin) if origin.source is Source.CONTEXT else origin.place


@dataclass(frozen=True, slots=True)
class Context:
    """A table of the user file, and what chose it."""

    name: str
    values: Mapping[str, str]
    chosen: Origin

    @property
    def layer(self) -> Layer:
        """Its values, to stand among the other sources."""
        return Layer(Source.CONTEXT, self.values, self.name)

    def base_url(self, system: str) -> str | None:
        """The server that its key of a system is for, or None when it names none.

        Systems with a server that everybody uses need not name it.
        """
        definition = DEFINITIONS[setting_name(system, "base_url")]
        own = self.layer.read(definition)
        url: str | None = definition.default if own is None else own.value
        return url

    def has_key(self, system: str) -> bool:
        """Whether it says what the key of a system is."""
        return any(
            setting_name(system, name) in self.values for name in ("api_key", "api_key_file")
        )

    @property
    def systems(self) -> list[str]:
        """The systems whose server or key it names."""
        return [
            system
            for system in SYSTEMS
            if self.has_key(system) or setting_name(system, "base_url") in self.values
        ]


_LONGEST_SHOWN = 30
"""Characters of a context's name."""


def find_context(chosen: Setting, tables: Mapping[str, Mapping[str, str]]) -> Context | None:
    """Return the context that a setting chooses, None for `none` and for no choice.

    Raises ConfigurationError when there is none of that name.
    """
    name = chosen.value
    if name in (None, NO_CONTEXT):
        return None
    if name not in tables:
        known = ", ".join(sorted(tables)) or "none"
        is_name = len(name) <= _LONGEST_SHOWN  # a longer one may be a key in the wrong place
        shown = repr(name) if is_name else without_text(name)
        raise ConfigurationError(
            f"unknown context {shown}, selected by {chosen.origin}; contexts: {known}",
            hint=f"add a table [contexts.{name if is_name else 'NAME'}] to your own file, "
            f"or choose {NO_CONTEXT!r} to go without",
        )
    return Context(name, tables[name], chosen.origin)


def order(plain: Mapping[Source, Layer], context: Context | None) -> list[Layer]:
    """Return all layers, strongest first.

    A context is as strong as what chose it: one on the command line beats variables that happen to
    be set, one that is the user's habit gives way to the project.
    """
    layers = [plain[source] for source in _WITHOUT_CONTEXT]
    if context is not None:
        layers.insert(_PLACE[context.chosen.source], context.layer)
    return layers


_WITHOUT_CONTEXT = (Source.FLAG, Source.VARIABLE, Source.PROJECT, Source.USER)
_PLACE = {Source.FLAG: 1, Source.VARIABLE: 2, Source.PROJECT: 2, Source.USER: 3}


@dataclass(frozen=True)
class ResolvedSettings:
    """The effective values of one invocation, read lazily and validated one by one.

    `system` is the one that the flags for server and key mean; they say nothing about the others.
    `ignored` are the files and variables that are not used although they may be meant.
    """

    flags: Mapping[str, Any]
    environ: Mapping[str, str]
    project: ConfigFile | None
    user: ConfigFile | None
    stored: StoredKeys
    system: str = TRAFFICMORPH
    ignored: Sequence[IgnoredSource] = ()

    def __getitem__(self, name: str) -> Setting:
        """Return the effective setting.

        Raises UsageError for a bad flag, ConfigurationError for a bad variable or file entry.
        """
        definition = DEFINITIONS[name]
        if name == "context":
            return _first(order(self._plain, None), definition)
        return _first(self.layers, definition)

    def value(self, name: str) -> Any:
        return self[name].value

    def require_all_files(self) -> None:
        """Raise ConfigurationError when a file or a variable was ignored: a gate needs them all.

        What it may set, such as `fail_on` or a limit, could have failed it.
        """
        if self.ignored:
            first = self.ignored[0]
            raise ConfigurationError(
                f"{first.message}; a gate without its settings could pass by mistake",
                hint=first.hint,
            )

    @cached_property
    def context(self) -> Context | None:
        """The context in effect; raises ConfigurationError when the chosen one does not exist."""
        return find_context(self["context"], self.contexts)

    @property
    def contexts(self) -> Mapping[str, Mapping[str, str]]:
        return self.user.contexts if self.user is not None else {}

    @cached_property
    def layers(self) -> Sequence[Layer]:
        """Every source that has values, strongest first."""
        return order(self._plain, self.context)

    @cached_property
    def _plain(self) -> dict[Source, Layer]:
        variables = {
            name: self.environ[definition.variable]
            for name, definition in DEFINITIONS.items()
            if definition.variable in self.environ
        }
        return {
            Source.FLAG: Layer(Source.FLAG, self._given()),
            Source.VARIABLE: Layer(Source.VARIABLE, variables),
            Source.PROJECT: _layer(Source.PROJECT, self.project),
            Source.USER: _layer(Source.USER, self.user),
        }

    def _given(self) -> dict[str, str]:
        return {
            setting_name(self.system, name) if name in ENDPOINT else name: str(value)
            for name, value in self.flags.items()
            if value is not None
        }

    @property
    def thresholds(self) -> dict[str, tuple[Any, Origin]]:
        """The thresholds of the files and the file of each; the project's override the user's.

        What is not there is left to the server.
        """
        found: dict[str, tuple[Any, Origin]] = {}
        for source, file in ((Source.USER, self.user), (Source.PROJECT, self.project)):
            if file is not None:
                origin = Origin(source, str(file.path))
                found |= {name: (value, origin) for name, value in file.thresholds.items()}
        return found


def _layer(source: Source, file: ConfigFile | None) -> Layer:
    return (
        Layer(source, {})
        if file is None
        else Layer(source, file.values, str(file.path), file.lines)
    )


def _first(layers: Sequence[Layer], definition: Definition) -> Setting:
    for layer in layers:
        if (setting := layer.read(definition)) is not None:
            return setting
    return Setting(definition, definition.default, Origin(Source.DEFAULT))
