"""What one invocation of tm gets from the outside world."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tm_cli.errors import ConfigurationError
from tm_cli.runtime.clock import Clock, SystemClock
from tm_cli.runtime.files import expand_home
from tm_cli.runtime.terminal import Terminal, read_secret

if TYPE_CHECKING:
    from tm_cli.runtime.local_server import LocalServerLease
    from tm_cli.runtime.subprocesses import SubprocessGroup, SupervisedGroup


def _make_token() -> str:
    import secrets

    return secrets.token_hex(8)


def _spawn(words: Sequence[str], environ: Mapping[str, str], **places: Any) -> SubprocessGroup:
    from tm_cli.runtime.subprocesses import SubprocessGroup

    return SubprocessGroup(words, environ, **places)


def _serve(words: Sequence[str], environ: Mapping[str, str], **options: Any) -> SupervisedGroup:
    from tm_cli.runtime.subprocesses import SupervisedGroup

    return SupervisedGroup(words, environ, **options)


@dataclass(frozen=True, slots=True)
class Environment:
    """The seams: environment, terminal, time, directories and the embedded server.

    `find_user_dir` returns the directory of the user's own settings, `find_state_dir` the one
    for what tm remembers;
    `launch` returns a running embedded server for a data directory; it stays up until closed.
    `make_token` returns letters and digits that are unique; `read_secret` returns what is
    entered at a prompt that does not show it, or piped in. `spawn` starts a command with a whole
    environment, perhaps in another directory and with a file for its output, and returns it
    running; `serve` does so with a service, which ends with all its processes.
    """

    environ: Mapping[str, str]
    terminal: Terminal
    clock: Clock
    cwd: Path
    find_user_dir: Callable[[], Path]
    find_state_dir: Callable[[], Path]
    launch: Callable[[Path], LocalServerLease]
    make_token: Callable[[], str] = _make_token
    read_secret: Callable[[str], str] = read_secret
    spawn: Callable[..., SubprocessGroup] = _spawn
    serve: Callable[..., SupervisedGroup] = _serve

    @classmethod
    def system(cls, cwd: Path | None = None) -> Environment:
        """The real world; raises OSError where the current directory is gone and none is given."""
        _drop_unusable_sizes()
        os.environ.pop("SSLKEYLOGFILE", None)  # Python would write there what decrypts the API key
        return cls(
            environ=os.environ,
            terminal=Terminal.system(os.environ),
            clock=SystemClock(),
            cwd=cwd or Path.cwd(),
            find_user_dir=_user_dir,
            find_state_dir=_state_dir,
            launch=_launch,
        )


def _drop_unusable_sizes() -> None:
    """Forget sizes of the screen that rich and typer would fail on, or draw for minutes."""
    for name in ("COLUMNS", "LINES", "TERMINAL_WIDTH"):
        size = os.environ.get(name, "1")
        is_usable = size.isascii() and size.isdigit() and len(size) <= 4 and int(size) > 0
        if not is_usable:
            del os.environ[name]


def _user_dir() -> Path:
    if chosen := _named_directory("TM_CONFIG_DIR"):
        return chosen
    from platformdirs import user_config_path

    return _at_home(user_config_path, "TM_CONFIG_DIR")


def _state_dir() -> Path:
    if chosen := _named_directory("TM_STATE_DIR"):
        return chosen
    from platformdirs import user_state_path

    return _at_home(user_state_path, "TM_STATE_DIR")


def _named_directory(variable: str) -> Path | None:
    """The directory that a variable names; what cannot be one would be a gate without settings."""
    if (chosen := os.environ.get(variable)) is None:
        return None
    if not chosen.strip():
        raise ConfigurationError(f"{variable} is empty", hint="unset it, or name a directory")
    path = expand_home(chosen, variable)
    if any(os.path.isfile(place) for place in (path, *path.parents)):  # noqa: PTH113
        raise ConfigurationError(f"{variable} names {path}, which is not a directory")
    return path


class NoHomeDirectory(ConfigurationError):
    """The user has no home, where tm would keep its files."""


def _at_home(find: Callable[..., Path], variable: str) -> Path:
    try:
        return find("tm", appauthor=False)
    except RuntimeError:
        raise NoHomeDirectory(
            "this user has no home directory, where tm keeps its files",
            hint=f"set HOME to an absolute path, or name a directory with {variable}",
        ) from None


def _launch(data_dir: Path) -> LocalServerLease:
    from tm_cli.runtime.local_server import launch

    return launch(data_dir)
