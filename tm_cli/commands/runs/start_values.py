"""The values of placeholders `${NAME}`: from the environment, and from a command for a token."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tm_cli.errors import ConfigurationError
from tm_cli.values.api_key import KEY_VARIABLES
from tm_cli.values.placeholders import Placeholder, placeholders
from tm_cli.values.text import sanitize

if TYPE_CHECKING:
    from tm_cli.cli.session import CommandContext


def read_values(session: CommandContext, source: str, profile: Mapping[str, Any]) -> dict[str, str]:
    """Return the value of each placeholder of a profile; sends nothing.

    `source` is what to call the profile. Raises ConfigurationError for one that has none.
    """
    environ, values = session.context.environ, {}
    for each in placeholders(profile):
        if each.name is None:
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
    return values


def _where(source: str, placeholder: Placeholder) -> str:
    return f"{sanitize(source)}: {sanitize(placeholder.place)} uses ${{{placeholder.name}}}"
