"""API keys in files of their own."""

from __future__ import annotations

from pathlib import Path

from tm_cli.api_key import ApiKey
from tm_cli.errors import ConfigurationError


def read_key_file(path: Path) -> ApiKey:
    """Return the key in `path`, without the line break at its end."""
    try:
        text = path.expanduser().read_text(encoding="utf-8", errors="surrogateescape")
        return ApiKey(text.removesuffix("\n").removesuffix("\r"))
    except OSError as problem:
        raise ConfigurationError(
            f"cannot read the API key file {path}: {problem.strerror}"
        ) from None
    except RuntimeError:  # `~user` of a user who does not exist, or `~` without a home
        raise ConfigurationError(f"cannot read the API key file {path}: no such home") from None
    except ValueError as problem:
        raise ConfigurationError(f"{path}: {problem}") from None
