"""Which files a set-up needs, and what becomes of those that are there. Pure but for `read`."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from tm_cli.scaffold import github, gitlab, make
from tm_cli.scaffold.answers import Answers, Platform
from tm_cli.scaffold.documents import is_ignored, profile_text, settings_text, with_ignored
from tm_cli.scaffold.gate_call import MARK
from tm_cli.scaffold.names import document_path
from tm_cli.scaffold.stages import stage_for

SETTINGS = "tm.toml"
IGNORED = ".gitignore"

Read = Callable[[str], str | None]
"""Path, relative to the directory of the set-up, to the text that is there; None when none is."""


class Action(StrEnum):
    """What happens to a file; SAME and KEPT leave it alone."""

    WRITTEN = "written"
    REPLACED = "replaced"
    EXTENDED = "extended"
    SAME = "same"
    KEPT = "kept"


@dataclass(frozen=True, slots=True)
class Change:
    """One file, its whole text after the change, and what happens to it."""

    path: str
    action: Action
    text: str


def plan(answers: Answers, read: Read, *, force: bool) -> list[Change]:
    """Return what has to happen; a file that differs is replaced only with `force`."""
    changes = [_change(document_path(answers.name), profile_text(answers), read, force=force)]
    if not _has_settings_elsewhere(read):
        changes.append(_change(SETTINGS, settings_text(answers), read, force=force))
    changes.append(_ignored(read(IGNORED)))
    changes += (_change(path, text, read, force=force) for path, text in _pipeline(answers, read))
    return changes


def _change(path: str, text: str, read: Read, *, force: bool) -> Change:
    present = read(path)
    if present is None:
        return Change(path, Action.WRITTEN, text)
    if _lines(present) == _lines(text):
        return Change(path, Action.SAME, present)
    return Change(path, Action.REPLACED, text) if force else Change(path, Action.KEPT, present)


def _lines(text: str) -> list[str]:
    """Line ends are the business of git."""
    return text.splitlines()


def _ignored(present: str | None) -> Change:
    if present is None:
        return Change(IGNORED, Action.WRITTEN, with_ignored(""))
    if is_ignored(present):
        return Change(IGNORED, Action.SAME, present)
    return Change(IGNORED, Action.EXTENDED, with_ignored(present))


def _has_settings_elsewhere(read: Read) -> bool:
    """Whether pyproject.toml holds the settings; a `tm.toml` beside it would hide them."""
    if read(SETTINGS) is not None or (text := read("pyproject.toml")) is None:
        return False
    try:
        return isinstance(tomllib.loads(text).get("tool", {}).get("tm"), dict)
    except (ValueError, RecursionError, AttributeError):  # a number may be too long for Python
        return False


def _pipeline(answers: Answers, read: Read) -> Iterator[tuple[str, str]]:
    match answers.platform:
        case Platform.GITHUB:
            yield github.PATH, github.workflow_text(answers)
        case Platform.GITLAB if (present := _foreign(read(gitlab.PATH))) is not None:
            yield gitlab.INCLUDED, gitlab.pipeline_text(answers, stage_for(present))
        case Platform.GITLAB:
            yield gitlab.PATH, gitlab.pipeline_text(answers)
        case Platform.MAKE if any(_foreign(read(name)) is not None for name in make.MAKEFILES):
            yield make.INCLUDED, make.makefile_text(answers)
        case Platform.MAKE:
            yield make.PATH, make.makefile_text(answers)


def _foreign(text: str | None) -> str | None:
    """Return the text unless it is ours; whatever somebody else has written stays as it is."""
    if text is None or MARK in text.partition("\n")[0]:
        return None
    return text
