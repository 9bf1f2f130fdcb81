"""`tm captures import`: which groups of a capture become profiles."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tm_cli.cli.session import CommandContext
from tm_cli.commands.captures.analysis import LocalCapture, RemoteCapture, shown
from tm_cli.errors import TmError, UsageError
from tm_cli.runtime.signals import SignalReceived
from tm_cli.values.text import count_of, sanitize

if TYPE_CHECKING:
    from tm_cli.api.trafficmorph import CaptureGroup, CaptureImport

_LONGEST_NAME = 120


def check_options(session: CommandContext, select: Sequence[str], name: str | None) -> None:
    """Raise UsageError for what cannot work, before anything is sent."""
    if not select and session.terminal.keyboard is None:
        raise UsageError(
            "not a terminal; pass --select",
            hint="--select all takes every kind, `tm captures analyse` numbers them",
        )
    if name is not None and not 0 < len(name.strip()) <= _LONGEST_NAME:
        raise UsageError(f"--name: a name has 1 to {_LONGEST_NAME} characters")


def import_groups(
    session: CommandContext,
    capture: LocalCapture | RemoteCapture,
    select: Sequence[str],
    name: str | None,
) -> int:
    """Import the selected groups, or those that the user chooses."""
    analysis = capture.analyse()
    groups = analysis.groups
    if select:
        chosen = _selected(groups, select)
    else:
        session.terminal.write_line(shown(session.terminal, capture.name, analysis))
        chosen = _asked(session, groups)
    if name is not None and len(chosen) != 1:
        raise UsageError(f"--name goes with one kind of requests, not with {len(chosen)}")
    with _lost_answer_explained():
        found = capture.import_groups([_selection(group, name) for group in chosen])
    return _result(session, found)


@contextmanager
def _lost_answer_explained() -> Iterator[None]:
    """Say that profiles may have been made where neither error nor signal excludes it."""
    from tm_cli.api.errors import ApiError

    try:
        yield
    except ApiError as error:
        if error.maybe_done:
            error.hint = _MAYBE_MADE
        raise
    except SignalReceived as signal:
        signal.hint = _MAYBE_MADE
        raise


_MAYBE_MADE = (
    "profiles may have been made: look at `tm profiles list` before you repeat it, "
    "because a second import makes copies"
)


def _selection(group: CaptureGroup, name: str | None) -> dict[str, str]:
    named = {} if name is None else {"profileName": name}
    return {"method": group.method, "urlSkeleton": group.url_skeleton, **named}


def _selected(groups: Sequence[CaptureGroup], select: Sequence[str]) -> list[CaptureGroup]:
    try:
        return _chosen(groups, select)
    except ValueError as problem:
        raise UsageError(
            f"--select: {problem}", hint="`tm captures analyse` lists the kinds of a capture"
        ) from None


def _asked(session: CommandContext, groups: Sequence[CaptureGroup]) -> list[CaptureGroup]:
    """Ask until the answer is valid; raises UsageError at the end of the input."""
    question = "Import which: all, or numbers such as 1,3-5 [all]:"
    while (line := session.terminal.ask(question)) is not None:
        try:
            return _chosen(groups, [line or "all"])
        except ValueError as problem:
            session.terminal.write_line(f"  {sanitize(problem)}")
    raise UsageError("nothing was selected, and nothing imported")


def _chosen(groups: Sequence[CaptureGroup], select: Sequence[str]) -> list[CaptureGroup]:
    """The groups in their order, each once; raises ValueError for a selection of none."""
    places = {place for text in select for place in _places(groups, text)}
    if not places:
        raise ValueError("nothing is selected")
    chosen = [groups[place] for place in sorted(places)]
    bad = [place for place in sorted(places) if groups[place].problem]
    if bad and not any(text.strip().lower() == "all" for text in select):
        raise ValueError(f"{bad[0] + 1} cannot be imported: {groups[bad[0]].problem}")
    usable = [group for group in chosen if not group.problem]
    if not usable:
        raise ValueError(f"none of it can be imported: {groups[bad[0]].problem}")
    return usable


def _places(groups: Sequence[CaptureGroup], text: str) -> Iterator[int]:
    text = text.strip()
    if re.match(r"[A-Za-z]+\s+\S", text):
        yield _named(groups, text)
        return
    for part in re.split(r"[,\s]+", re.sub(r"\s*-\s*", "-", text)):
        if part.lower() == "all":
            yield from range(len(groups))
        elif found := re.fullmatch(r"(\d{1,9})(?:-(\d{1,9}))?", part):
            first, last = int(found[1]), int(found[2] or found[1])
            if not 1 <= first <= last <= len(groups):
                raise ValueError(f"{part} is not within 1-{len(groups)}")
            yield from range(first - 1, last)
        elif part:
            raise ValueError(f"{part!r} is neither all, a number, a range, nor METHOD URL")


def _named(groups: Sequence[CaptureGroup], text: str) -> int:
    """The group of a method and a URL, which may begin with its path."""
    method, url = text.split(None, 1)
    found = [
        place
        for place, group in enumerate(groups)
        if group.method == method.upper() and url in (group.url_skeleton, _path(group))
    ]
    if len(found) > 1:
        raise ValueError(f"{text} is on several hosts: write the whole URL")
    if not found:
        raise ValueError(f"the capture has no {method.upper()} {url}")
    return found[0]


def _path(group: CaptureGroup) -> str:
    parts = urlsplit(group.url_skeleton)
    return parts.path + (f"?{parts.query}" if parts.query else "")


def _result(session: CommandContext, found: CaptureImport) -> int:
    """Print what was made; a selection that the server has skipped is a failure."""
    skipped = found.skipped_selections or []
    error = None
    if skipped:
        reasons = "; ".join(
            sanitize(f"{each.method} {each.url_skeleton}: {each.reason}") for each in skipped
        )
        error = TmError(f"not imported: {reasons}")
    for warning in found.warnings:
        session.note(f"tm: {sanitize(warning)}")
    return session.emit(found.document(), lambda: _described(session, found), error=error)


def _described(session: CommandContext, found: CaptureImport) -> str:
    from tm_cli.render.tables import columns

    rows = [(each.profile_id, each.name) for each in found.created_profiles]
    if not rows:
        return "no profile was made"
    sets = found.created_variables_set_count or 0
    table = columns(session.terminal, ("ID", "PROFILE"), rows)
    made = f"made {count_of(len(rows), 'profile')} and {count_of(sets, 'variables set')}"
    return f"{table}\n{made}; start one with `tm runs start {rows[0][0]} --wait`"
