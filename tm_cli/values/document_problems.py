"""All problems of a value, from a reader that stops at the first one."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from tm_cli.values.documents import InvalidDocument, KeyPath, format_path

MOST_PROBLEMS = 50
"""Problems of one value that are returned."""


def all_problems(
    read: Callable[[Any], Any], value: Any, first: InvalidDocument, harmless: Any = None
) -> list[InvalidDocument]:
    """Return all problems of a value of which `read` has found the `first`.

    Each place that has a problem is left out, or is `harmless` in a list that must have some items,
    and the rest is read again. A problem above such a place may be a consequence of that, and is
    left out as well. The paths of problems begin with the key of the value.
    """
    found, problem = [first], first
    left_out = set[KeyPath]()
    while len(found) < MOST_PROBLEMS:
        place = _original(value, left_out, problem.path[1:], harmless)
        if not place or place in left_out:
            break
        left_out.add(place)
        try:
            read(_without(value, left_out, harmless))
            break
        except InvalidDocument as next_one:
            problem = next_one
        at = _original(value, left_out, problem.path[1:], harmless)
        if not any(each[: len(at)] == at for each in left_out):
            path = (*problem.path[:1], *at)
            told = str(problem).removeprefix(format_path(problem.path))
            is_named = told != str(problem)
            found.append(InvalidDocument((format_path(path) if is_named else "") + told, path))
    return found


def _without(
    value: Any, left_out: Collection[KeyPath], harmless: Any = None, at: KeyPath = ()
) -> Any:
    match value:
        case dict():
            items = ((key, (*at, key), each) for key, each in value.items())
            return {
                key: _without(each, left_out, None, path)
                for key, path, each in items
                if path not in left_out
            }
        case list():
            found = []
            for number, each in enumerate(value):
                path = (*at, number)
                if path not in left_out:
                    found.append(_without(each, left_out, None, path))
                elif harmless is not None:
                    found.append(harmless)
            return found
    return value


def _original(value: Any, left_out: Collection[KeyPath], path: KeyPath, harmless: Any) -> KeyPath:
    """Return a path in the value for a path in what is left of it."""
    at: KeyPath = ()
    for step in path:
        try:
            if isinstance(value, list) and isinstance(step, int) and (at or harmless is None):
                step = [n for n in range(len(value)) if (*at, n) not in left_out][step]
            value = value[step]
        except (LookupError, TypeError):  # about something that is not there
            break
        at = (*at, step)
    return at
