"""Contexts: named tables of the user file, of which at most one is in effect."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tm_cli.errors import ConfigurationError
from tm_cli.settings.definitions import DEFINITIONS, NO_CONTEXT, SYSTEMS, setting_name
from tm_cli.settings.sources import Layer, Origin, Setting, Source


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


def find_context(chosen: Setting, tables: Mapping[str, Mapping[str, str]]) -> Context | None:
    """Return the context that a setting chooses, None for `none` and for no choice.

    Raises ConfigurationError when there is none of that name.
    """
    name = chosen.value
    if name in (None, NO_CONTEXT):
        return None
    if name not in tables:
        known = ", ".join(sorted(tables)) or "none"
        raise ConfigurationError(
            f"there is no context {name!r}, which {chosen.origin} chooses; there are: {known}",
            hint=f"add a table [contexts.{name}] to your own file, "
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
