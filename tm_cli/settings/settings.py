"""The settings of an invocation, and the server and key of each system."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from tm_cli.errors import ConfigurationError
from tm_cli.runtime.files import expand_home
from tm_cli.settings.credentials import StoredKeys, key_file_warning, read_key_file
from tm_cli.settings.definitions import DEFINITIONS, SYSTEMS, TRAFFICMORPH, Definition, setting_name
from tm_cli.settings.files import (
    USER_FILE,
    find_project_file,
    misspelt_variables,
    project_root,
    read_user_file,
)
from tm_cli.settings.resolution import (
    Context,
    Layer,
    Origin,
    ResolvedSettings,
    Setting,
    Source,
    refusal,
)
from tm_cli.values.api_key import ApiKey
from tm_cli.values.urls import LOCAL, is_loopback, is_plain_http


class MissingKey(ConfigurationError):
    """No key is configured for a server."""


@dataclass(frozen=True, slots=True)
class Credential:
    """A key and where it was found; `warning` says that others can change it there."""

    key: ApiKey
    origin: Origin
    warning: str | None = None


@dataclass(frozen=True)
class Endpoint:
    """Server and key of one system, validated when they are asked for."""

    settings: ResolvedSettings
    system: str

    @property
    def base_url(self) -> str | None:
        """The base URL ending in `/`, `local`, or None when no server is configured."""
        url: str | None = self.address.value
        return url

    @property
    def key(self) -> ApiKey:
        return self.credential.key

    def read_key_again(self) -> ApiKey:
        """Return the key as it is now: a key file may have been replaced."""
        return Endpoint(self.settings, self.system).key

    @cached_property
    def address(self) -> Setting:
        """The base URL and its origin.

        Raises ConfigurationError when a key would travel unencrypted to another machine, and when
        it is not clear which of two servers is meant.
        """
        setting = self.settings[setting_name(self.system, "base_url")]
        self._refuse_two_servers(setting)
        self._refuse_key_without_server(setting)
        url = setting.value
        if url in (None, LOCAL) or not is_plain_http(url) or is_loopback(url):
            return setting
        if not self.settings.value("allow_insecure_http"):
            raise refusal(
                setting.origin,
                f"{setting.definition.name}: plain http would send the API key unencrypted "
                "to another machine",
                hint="use https, or permit it with TM_ALLOW_INSECURE_HTTP=true",
            )
        return setting

    @cached_property
    def credential(self) -> Credential:
        """The API key for this server and its origin.

        Raises MissingKey when there is none, ConfigurationError when its file cannot be read and
        when the key was not meant for this server.
        """
        found = next(self._found(), None)
        if found is None:
            raise MissingKey(f"no API key is configured{self._whose()}", hint=self._advice())
        if found.origin.source is not Source.STORED:
            self.check_trust("the API key is not sent to")
        return found

    def check_trust(self, refused: str) -> None:
        """Keep keys from a server that only a checked-out file names; raises ConfigurationError.

        Otherwise anyone who can write to a repository could have the keys of its users.
        """
        address = self.address
        url, origin = address.value, address.origin
        if origin.source is not Source.PROJECT or url == LOCAL or is_loopback(url):
            return
        if url not in self._own_servers():
            raise ConfigurationError(
                f"{refused} {url}, which only {origin.place} names",
                hint=f"confirm the server with {address.definition.variable}, "
                "or as base_url in your own file",
            )

    def _own_servers(self) -> Iterator[str]:
        """The servers that the user's own file names for this system."""
        if self.settings.user is not None:
            layer = Layer(Source.USER, self.settings.user.values, str(self.settings.user.path))
            if own := layer.read(DEFINITIONS[setting_name(self.system, "base_url")]):
                yield own.value
        if self.settings.context and (url := self.settings.context.base_url(self.system)):
            yield url

    def _found(self) -> Iterator[Credential]:
        """The keys for this server, the one to use first."""
        for layer in self.settings.layers:
            if layer.source is Source.USER:
                yield from self._stored()
            if (setting := self._key_in(layer)) is not None and self._may_use(setting):
                yield _credential(setting)

    def _stored(self) -> Iterator[Credential]:
        url = self.address.value
        if url not in (None, LOCAL) and (found := self.settings.stored.find(self.system, url)):
            yield Credential(found.key, Origin(Source.STORED, found.place))

    def _key_in(self, layer: Layer) -> Setting | None:
        return layer.read(self._definition("api_key")) or layer.read(
            self._definition("api_key_file")
        )

    def _may_use(self, key: Setting) -> bool:
        """Whether a key belongs to this server; a context's server and key go together.

        Raises ConfigurationError where a key was chosen that belongs to another server.
        """
        context, address = self.settings.context, self.address
        if context is None:
            return True
        if key.origin.source is Source.CONTEXT:
            if context.base_url(self.system) == address.value:
                return True
            if context.chosen.source is not Source.USER:
                raise _mixed(f"the key of context {context.name}", address)
            return False
        if key.origin.source is Source.FLAG or not self._is_of(context):
            return True
        if key.origin.source is Source.VARIABLE and context.chosen.source is not Source.FLAG:
            raise _mixed(
                key.origin.place, address, "unset it, or choose with --context, which wins"
            )
        return False

    def _is_of(self, context: Context) -> bool:
        """Whether the server is the context's, and not named with the key by flag or variable."""
        address = self.address
        if address.origin.source is not Source.PROJECT:
            return address.origin.source is Source.CONTEXT
        own = context.layer.read(address.definition)
        return own is not None and own.value == address.value

    def _refuse_two_servers(self, address: Setting) -> None:
        context = self.settings.context
        if context is None or address.origin.source is not Source.VARIABLE:
            return
        own = context.layer.read(address.definition)
        if context.chosen.source is Source.VARIABLE and own and own.value != address.value:
            raise ConfigurationError(
                f"{context.chosen.place} chooses {own.value}, and {address.origin.place} "
                f"is {address.value}",
                hint="unset one of them, or choose with --context, which wins",
            )

    def _refuse_key_without_server(self, address: Setting) -> None:
        """A context with a key and no server must not end up with the embedded one."""
        context = self.settings.context
        if context is None or address.origin.source in (Source.FLAG, Source.VARIABLE):
            return
        if context.has_key(self.system) and context.base_url(self.system) is None:
            raise ConfigurationError(
                f"context {context.name} has a key, but not the server that it is for",
                hint=f"add base_url to [contexts.{context.name}]",
            )

    def _definition(self, name: str) -> Definition:
        return DEFINITIONS[setting_name(self.system, name)]

    def _whose(self) -> str:
        address = self.address
        if address.origin.source is Source.CONTEXT:
            return f" for {address.value}, the server of {address.origin}"
        return f" for {self.system}" if self._definition("base_url").default else ""

    def _advice(self) -> str:
        if problem := self.settings.stored.problem:
            return problem
        variable = self._definition("api_key").variable
        if self.address.origin.source is Source.CONTEXT:
            name = self.address.origin.place
            return f"`tm auth login --context {name}` stores one; {variable} is not used for it"
        return f"set {variable}, or store a key with `tm auth login`"


def _credential(setting: Setting) -> Credential:
    if isinstance(setting.value, ApiKey):
        return Credential(setting.value, setting.origin)
    path = Path(setting.value)
    return Credential(read_key_file(path), setting.origin, key_file_warning(path))


def _mixed(
    whose: str, address: Setting, advice: str = "take server and key from the same place"
) -> ConfigurationError:
    return ConfigurationError(
        f"{whose} is not sent to {address.value}, which {address.origin} names", hint=advice
    )


KEYS_DIR = "keys"
DATA_DIR = ".tm"


@dataclass(frozen=True)
class Settings(ResolvedSettings):
    def endpoint(self, system: str) -> Endpoint:
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

    def find_data_dir(self, cwd: Path) -> Path:
        """The embedded server's directory: as set, else `.tm` at the root of the project.

        Raises ConfigurationError when a project file sets one that is not in the project: `tm`
        writes there, and a history elsewhere is not the project's.
        """
        chosen = self["data_dir"]
        if chosen.value is None:
            return project_root(cwd) / DATA_DIR
        directory = cwd / expand_home(chosen.value, str(chosen.origin))
        if chosen.origin.source is Source.PROJECT:
            project = Path(chosen.origin.place).parent
            if not directory.resolve().is_relative_to(project.resolve()):
                raise ConfigurationError(
                    f"{chosen.origin.place} sets data_dir to {chosen.value}, which is not in "
                    "the project",
                    hint="set it in your own file, or as TM_DATA_DIR",
                )
        return directory


def load_settings(
    flags: Mapping[str, Any],
    environ: Mapping[str, str],
    *,
    cwd: Path,
    user_dir: Path | None,
    system: str = TRAFFICMORPH,
    owners: Mapping[str, str] | None = None,
) -> Settings:
    """Find and read the settings files; values are validated when they are asked for.

    `user_dir` is None for a user without a home directory. `owners` says whose files are read
    where `environ` does not.
    """
    trusted = environ if owners is None else owners
    project, of_project = find_project_file(cwd, trusted)
    other = project.path if project else None
    user, of_user = (
        read_user_file(user_dir / USER_FILE, trusted, project=other) if user_dir else (None, [])
    )
    return Settings(
        flags=flags,
        environ=environ,
        project=project,
        user=user,
        stored=StoredKeys(user_dir / KEYS_DIR if user_dir else None),
        system=system,
        ignored=(*of_project, *of_user, *misspelt_variables(environ)),
    )
