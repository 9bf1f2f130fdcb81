"""Which value is in effect, and where it comes from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from tm_cli.errors import ConfigurationError
from tm_cli.settings.credentials import StoredKeys
from tm_cli.settings.definitions import (
    DEFINITIONS,
    ENDPOINT,
    SYSTEMS,
    TRAFFICMORPH,
    Definition,
    setting_name,
)
from tm_cli.settings.endpoints import Endpoint
from tm_cli.settings.files import (
    USER_FILE,
    ConfigFile,
    IgnoredFile,
    find_project_file,
    read_user_file,
)
from tm_cli.settings.sources import Context, Layer, Origin, Setting, Source, find_context, order
from tm_cli.values.api_key import ApiKey

KEYS_DIR = "keys"


@dataclass(frozen=True)
class Settings:
    """The effective settings of one invocation, read lazily and validated one by one.

    `system` is the one that the flags for server and key mean; they say nothing about the others.
    `ignored` are the files that are not read because of their owner.
    """

    flags: Mapping[str, Any]
    environ: Mapping[str, str]
    project: ConfigFile | None
    user: ConfigFile | None
    stored: StoredKeys
    system: str = TRAFFICMORPH
    ignored: Sequence[IgnoredFile] = ()

    def __getitem__(self, name: str) -> Setting:
        """Return the effective setting.

        Raises UsageError for a bad flag, ConfigurationError for a bad variable or file entry.
        """
        definition = DEFINITIONS[name]
        if name == "context":
            return _first(order(self._plain, None), definition)
        return _first(self.layers, definition)

    def value(self, name: str) -> Any:
        """Return just the effective value."""
        return self[name].value

    def require_all_files(self) -> None:
        """Raise ConfigurationError when a file was ignored: a gate needs all of its settings.

        What the file may have said, such as `fail_on` or a limit, could have failed it.
        """
        if self.ignored:
            file = self.ignored[0]
            raise ConfigurationError(
                f"{file.message}; a gate without its settings could pass by mistake", hint=file.hint
            )

    @cached_property
    def context(self) -> Context | None:
        """The context in effect; raises ConfigurationError when the chosen one does not exist."""
        return find_context(self["context"], self.contexts)

    @property
    def contexts(self) -> Mapping[str, Mapping[str, str]]:
        """The contexts of the user file by name."""
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

    def endpoint(self, system: str) -> Endpoint:
        """Return server and key of one of `SYSTEMS`."""
        return self._endpoints[system]

    @cached_property
    def _endpoints(self) -> dict[str, Endpoint]:
        return {system: Endpoint(self, system) for system in SYSTEMS}

    def for_system(self, system: str) -> Settings:
        """Return the settings of a command whose flags mean another system."""
        return replace(self, system=system)

    @property
    def server(self) -> str | None:
        """The base URL of TrafficMorph; see `Endpoint.base_url`."""
        return self.endpoint(TRAFFICMORPH).base_url

    @property
    def key(self) -> ApiKey:
        """The API key for that server; see `Endpoint.key`."""
        return self.endpoint(TRAFFICMORPH).key


def load_settings(
    flags: Mapping[str, Any],
    environ: Mapping[str, str],
    *,
    cwd: Path,
    user_dir: Path,
    system: str = TRAFFICMORPH,
    owners: Mapping[str, str] | None = None,
) -> Settings:
    """Find and read the settings files; values are validated when they are asked for.

    `owners` says whose files are read where `environ` does not.
    """
    trusted = environ if owners is None else owners
    project, of_project = find_project_file(cwd, trusted)
    user, of_user = read_user_file(user_dir / USER_FILE, trusted)
    return Settings(
        flags=flags,
        environ=environ,
        project=project,
        user=user,
        stored=StoredKeys(user_dir / KEYS_DIR),
        system=system,
        ignored=(*of_project, *of_user),
    )


def _layer(source: Source, file: ConfigFile | None) -> Layer:
    return Layer(source, {}) if file is None else Layer(source, file.values, str(file.path))


def _first(layers: Sequence[Layer], definition: Definition) -> Setting:
    for layer in layers:
        if (setting := layer.read(definition)) is not None:
            return setting
    return Setting(definition, definition.default, Origin(Source.DEFAULT))
