"""Settings: flag, then variable, then project file, then user file, then default.

Every value remembers its origin, so that `tm config show` and error messages can name it.
"""

from tm_cli.settings.definitions import DEFINITIONS, Definition
from tm_cli.settings.effective import Origin, Setting, Settings, Source, load_settings
from tm_cli.settings.files import ConfigFile, project_root
from tm_cli.settings.keys import read_key_file

__all__ = [
    "DEFINITIONS",
    "ConfigFile",
    "Definition",
    "Origin",
    "Setting",
    "Settings",
    "Source",
    "load_settings",
    "project_root",
    "read_key_file",
]
