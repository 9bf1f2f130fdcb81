"""SET by its name: a variables set of the server."""

from __future__ import annotations

from collections.abc import Sequence

from tm_cli.api.trafficmorph import VariablesSet
from tm_cli.errors import Refused
from tm_cli.values.text import did_you_mean, folded_name, sanitize

LISTED = "`tm variables list` shows them"


def set_named(sets: Sequence[VariablesSet], text: str) -> VariablesSet:
    """Return the set with this name; raises Refused unless there is exactly one."""
    found = [each for each in sets if folded_name(each.name) == folded_name(text)]
    if not found:
        near = did_you_mean(text, [each.name for each in sets], LISTED)
        raise unknown_set(f"variables set named {sanitize(text)!r}", sanitize(near))
    if len(found) > 1:
        ids = ", ".join(str(each.id) for each in found)
        raise Refused(
            f"{len(found)} variables sets are named {sanitize(text)!r}",
            hint=f"use an id: {ids}",
            code="ambiguous_variables_set",
        )
    return found[0]


def unknown_set(what: str, hint: str = LISTED) -> Refused:
    return Refused(f"the server has no {what}", hint=hint, code="unknown_variables_set")
