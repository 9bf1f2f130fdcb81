"""The values of placeholders `${NAME}`: from the environment, and from a command for a token."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tm_cli.backends.trafficmorph.runs import Renewal
from tm_cli.errors import ConfigurationError
from tm_cli.runtime.subprocesses import Captured, capture, split_command
from tm_cli.values.api_key import KEY_VARIABLES
from tm_cli.values.load.placeholders import TOKEN, Placeholder, hide_values, placeholders
from tm_cli.values.text import sanitize

if TYPE_CHECKING:
    from tm_cli.cli.session import CommandContext

_PATIENCE = 60.0  # seconds that the command for a token may take
_LONGEST_TOKEN = 50_000  # bytes


@dataclass(frozen=True, slots=True)
class StartValues:
    """What a start says about placeholders, and how the token is renewed, if it is."""

    values: Mapping[str, str] = field(default_factory=dict, repr=False)
    renewal: Renewal | None = None

    @property
    def terms(self) -> dict[str, Any]:
        """Its part of the body of a start."""
        renewable = {"renewable": [TOKEN]} if self.renewal else {}
        return {"values": dict(self.values), **renewable} if self.values else {}


def read_values(
    session: CommandContext, source: str, profile: Mapping[str, Any], *, is_stored: bool = False
) -> StartValues:
    """Return the value of each placeholder of a profile; `source` is what to call the profile.

    The command for a token is run, unless the profile is stored on a server: none that a server
    names is. Raises ConfigurationError for a placeholder without a value.
    """
    environ, values = session.context.environ, dict[str, str]()
    command = None if is_stored else profile.get("tokenCommand")
    for each in placeholders(profile):
        if each.name is None or (command and each.name == TOKEN):
            continue
        if each.name in KEY_VARIABLES:
            raise ConfigurationError(
                f"{_where(source, each)}, which holds a key that no target may get",
                hint="use a variable of another name",
            )
        if environ.get(each.name):
            values[each.name] = environ[each.name]
        elif each.default is None:
            state = "empty" if each.name in environ else "not set"
            raise ConfigurationError(
                f"{_where(source, each)}, which is {state} in the environment",
                hint=f"set it, or write a default: ${{{each.name}:-text}}; $${{ stands for ${{",
            )
    if not command:
        return StartValues(values)

    def read() -> dict[str, str]:
        return {TOKEN: _read_token(session, source, command, values)}

    seconds = profile.get("tokenRefresh")
    renewal = Renewal(seconds, read, session.terminal.write_line) if seconds else None
    return StartValues(values | read(), renewal)


def _where(source: str, placeholder: Placeholder) -> str:
    return f"{sanitize(source)}: {sanitize(placeholder.place)} uses ${{{placeholder.name}}}"


def _read_token(
    session: CommandContext,
    source: str,
    command: Mapping[str, Any],
    values: Mapping[str, str],
) -> str:
    """Run the command of a document; its output is the token. Raises ConfigurationError.

    `values` are hidden in what it prints to its standard error.
    """
    name = f"tokenCommand of {sanitize(source)}"
    text = command["command"]
    try:
        words = split_command(text) if isinstance(text, str) else text
        done = capture(
            words,
            session.context.environ,
            directory=Path(command["directory"]),
            patience=_PATIENCE,
            most=_LONGEST_TOKEN + 1,
        )
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigurationError(f"{name} cannot be started: {sanitize(reason)}") from None
    if (problem := _problem(done)) is not None:
        said = hide_values(done.errors.decode("utf-8", "replace"), values).strip().splitlines()
        hint = f"it printed: {sanitize(said[-1], longest=300)}" if said else None
        raise ConfigurationError(f"{name} {problem}", hint=hint)
    return done.output.decode().strip()


def _problem(done: Captured) -> str | None:
    if done.code is None:
        return f"did not end within {_PATIENCE:g} s"
    if len(done.output) > _LONGEST_TOKEN:
        return f"printed more than {_LONGEST_TOKEN:,} bytes"
    if done.code:
        return f"ended with exit code {done.code}"
    try:
        lines = done.output.decode().strip().splitlines()
    except UnicodeDecodeError:
        return "printed what is not UTF-8 text"
    return None if len(lines) == 1 else "printed no token" if not lines else "printed several lines"
