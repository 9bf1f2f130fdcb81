"""Where values come from: layers of texts, each of which can say where a text stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from tm_cli.base_url import quote_base_url
from tm_cli.errors import ConfigurationError, TmError, UsageError
from tm_cli.settings.definitions import Definition


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
    """An effective value and its origin."""

    definition: Definition
    value: Any
    origin: Origin


@dataclass(frozen=True, slots=True)
class Layer:
    """The texts of one source by the names of their settings; `place` is its path or name."""

    source: Source
    values: Mapping[str, str]
    place: str = ""

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
            name = f"{definition.name} in {_named(origin)}" if inside else origin.place
            raise refusal(origin, f"{name}: {shown}{problem}") from None


def refusal(origin: Origin, message: str, *, hint: str | None = None) -> TmError:
    """Return the error for a value that cannot be used: a flag is usage, the rest is set up."""
    if origin.source is Source.FLAG:
        return UsageError(message, hint=hint)
    return ConfigurationError(message, hint=hint or "`tm config show` prints what is in effect")


def _named(origin: Origin) -> str:
    return str(origin) if origin.source is Source.CONTEXT else origin.place
