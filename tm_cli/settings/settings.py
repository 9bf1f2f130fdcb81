"""The settings of one invocation: effective values, and the servers with their keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from tm_cli.errors import ConfigurationError
from tm_cli.settings.credentials import StoredKeys
from tm_cli.settings.definitions import SYSTEMS, TRAFFICMORPH
from tm_cli.settings.endpoints import Endpoint
from tm_cli.settings.files import USER_FILE, find_project_file, project_root, read_user_file
from tm_cli.settings.resolution import ResolvedSettings, Source
from tm_cli.values.api_key import ApiKey

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
        try:
            directory = cwd / Path(chosen.value).expanduser()
        except RuntimeError:
            raise ConfigurationError(
                f"{chosen.origin} names the data directory {chosen.value}, which is in the home of "
                "a user who does not exist"
            ) from None
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
