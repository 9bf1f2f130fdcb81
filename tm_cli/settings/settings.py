"""The settings of one invocation: effective values, and the servers with their keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from tm_cli.settings.credentials import StoredKeys
from tm_cli.settings.definitions import SYSTEMS, TRAFFICMORPH
from tm_cli.settings.endpoints import Endpoint
from tm_cli.settings.files import USER_FILE, find_project_file, read_user_file
from tm_cli.settings.resolution import ResolvedSettings
from tm_cli.values.api_key import ApiKey

KEYS_DIR = "keys"


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
