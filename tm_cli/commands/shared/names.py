"""What an argument names: one of the objects of a server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

from tm_cli.errors import Refused
from tm_cli.values.text import did_you_mean, folded_name, sanitize


class Named(Protocol):
    @property
    def id(self) -> int: ...

    @property
    def name(self) -> str: ...


N = TypeVar("N", bound=Named)


def only_one_named(items: Sequence[N], text: str, noun: str, otherwise: str) -> N:
    """Return the item with this name; raises Refused unless there is exactly one.

    `otherwise` is the hint where no name is similar.
    """
    found = [each for each in items if folded_name(each.name) == folded_name(text)]
    slug = noun.replace(" ", "_")
    if not found:
        near = sanitize(did_you_mean(text, [each.name for each in items]))
        raise Refused(
            f"the server has no {noun} named {sanitize(text)!r}",
            hint=near or otherwise,
            code=f"unknown_{slug}",
        )
    if len(found) > 1:
        ids = ", ".join(str(each.id) for each in found)
        raise Refused(
            f"{len(found)} {noun}s are named {sanitize(text)!r}",
            hint=f"use an id: {ids}",
            code=f"ambiguous_{slug}",
        )
    return found[0]
