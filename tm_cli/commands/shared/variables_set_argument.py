"""SET by its name: a variables set of the server."""

from __future__ import annotations

from collections.abc import Sequence

from tm_cli.api.trafficmorph import VariablesSet
from tm_cli.commands.shared.names import only_one_named
from tm_cli.errors import Refused

LISTED = "`tm variables list` shows them"


def set_named(sets: Sequence[VariablesSet], text: str) -> VariablesSet:
    """Return the set with this name; raises Refused unless there is exactly one."""
    return only_one_named(sets, text, "variables set", LISTED)


def unknown_set(number: int) -> Refused:
    return Refused(
        f"the server has no variables set {number}", hint=LISTED, code="unknown_variables_set"
    )
