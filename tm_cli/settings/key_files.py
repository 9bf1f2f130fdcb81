"""Files that hold a stored key: written whole, for their owner alone, bound to one server."""

from __future__ import annotations

import json
import os
import shlex
import stat
from pathlib import Path

from tm_cli.api_key import ApiKey
from tm_cli.errors import ConfigurationError
from tm_cli.private_dir import make_private_dir
from tm_cli.whole_files import write_whole


def write_stored(path: Path, content: dict[str, str]) -> None:
    """Write a file for its owner alone, whole or not at all; raises OSError."""
    make_private_dir(path.parent)
    if os.name == "posix":
        path.parent.chmod(stat.S_IRWXU)
    write_whole(path, json.dumps(content), mode=0o600)


def read_stored(path: Path, system: str, base_url: str) -> ApiKey:
    """Return the key that a file holds for exactly this server.

    Raises ConfigurationError when others may read the file, and when it holds anything else.
    """
    again = "remove it, and store the key again with `tm auth login`"
    try:
        with path.open(encoding="utf-8") as file:
            if os.name == "posix":
                _check_private(path, os.fstat(file.fileno()))
            content = json.load(file)
    except OSError as problem:
        raise ConfigurationError(f"cannot read {path}: {problem.strerror}") from None
    except (ValueError, RecursionError):
        raise ConfigurationError(f"{path} is not a stored key", hint=again) from None
    if not isinstance(content, dict) or not isinstance(key := content.get("key"), str):
        raise ConfigurationError(f"{path} is not a stored key", hint=again)
    if (content.get("system"), content.get("base_url")) != (system, base_url):
        raise ConfigurationError(f"{path} holds the key of another server", hint=again)
    return parse_stored(key, str(path))


def _check_private(path: Path, status: os.stat_result) -> None:
    if status.st_uid != os.getuid():
        raise ConfigurationError(f"{path} holds an API key and belongs to another user")
    if status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigurationError(
            f"{path} holds an API key and others may read it",
            hint=f"chmod 600 {shlex.quote(str(path))}, and consider a new key",
        )


def parse_stored(text: str, place: str) -> ApiKey:
    """Return the key that a place holds; raises ConfigurationError naming the place."""
    try:
        return ApiKey(text)
    except ValueError as problem:
        raise ConfigurationError(f"{place}: {problem}") from None
