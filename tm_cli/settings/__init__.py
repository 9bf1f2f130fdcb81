"""Settings: where a value comes from, and which server and key belong together.

Every value remembers its origin, so that `tm config show` and error messages can name it.
"""

from tm_cli.settings.credentials import StoredKey, StoredKeys, read_key_file
from tm_cli.settings.definitions import (
    DEFINITIONS,
    RUNLOOP,
    STRAIT,
    SYSTEMS,
    TRAFFICMORPH,
    Definition,
    setting_name,
)
from tm_cli.settings.files import ConfigFile, IgnoredSource, project_root
from tm_cli.settings.resolution import Context, Origin, Setting, Source
from tm_cli.settings.settings import Credential, Endpoint, MissingKey, Settings, load_settings

__all__ = [
    "DEFINITIONS",
    "RUNLOOP",
    "STRAIT",
    "SYSTEMS",
    "TRAFFICMORPH",
    "ConfigFile",
    "Context",
    "Credential",
    "Definition",
    "Endpoint",
    "IgnoredSource",
    "MissingKey",
    "Origin",
    "Setting",
    "Settings",
    "Source",
    "StoredKey",
    "StoredKeys",
    "load_settings",
    "project_root",
    "read_key_file",
    "setting_name",
]
