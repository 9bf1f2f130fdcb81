"""RUN: a history id, a run id or a unique prefix of one, or the latest run."""

from __future__ import annotations

from collections.abc import Sequence

from tm_cli.api.trafficmorph import HistoryRow
from tm_cli.cli.session import CommandContext
from tm_cli.commands.history.rows import LARGEST_PAGE, HistoryRows
from tm_cli.commands.shared.profile_argument import LARGEST_ID, resolve_profile
from tm_cli.errors import TmError, UsageError
from tm_cli.render.tables import instant
from tm_cli.values.text import sanitize

LATEST = "latest"
SHORTEST = 4
"""Characters of a run id."""

MOST_PAGES = 10
"""Pages that are searched for a run id on a server that does not search itself."""

_MOST_NAMED = 5


def find_history_id(session: CommandContext, text: str, *, for_change: bool = False) -> int:
    """Return the history id of the run that `text` names; a number is one, and is not looked up.

    `for_change`: the prefix of a run id must be known to be that of no other run. Raises
    UsageError for what names no run, and TmError when there is none or several.
    """
    if (number := _as_number(text)) is not None:
        return number
    word, colon, profile = text.partition(":")
    if word == LATEST and bool(colon) == bool(profile.strip()):
        return _id_of(_latest(session, profile), text)
    if colon or len(text) < SHORTEST:
        raise UsageError(
            f"invalid run {sanitize(text)!r}",
            hint=f"expected a history id, at least {SHORTEST} characters of a run id, "
            "`latest` or `latest:PROFILE`",
        )
    return _id_of(_with_run_id(session, text, for_change=for_change), text)


def _as_number(text: str) -> int | None:
    """Return a history id; with a leading zero it may only be the beginning of a run id."""
    if not (text.isascii() and text.isdigit()) or text[0] == "0":
        return None
    if not 0 < int(text[:20]) <= LARGEST_ID:
        raise UsageError(f"invalid history id {text}")
    return int(text)


def _id_of(row: HistoryRow, text: str) -> int:
    if row.id is None:
        raise TmError(f"the server gives run {sanitize(text)} no history id", code="unknown_run")
    return row.id


def _latest(session: CommandContext, profile: str) -> HistoryRow:
    filters, of = {}, ""
    if profile:
        subject = resolve_profile(session.client, profile, session.context.cwd)
        filters, of = {"profileId": subject.profile_id}, f" of {subject.name}"
    found = session.client.list_history(size=1, **filters).content
    if found and filters and found[0].profile_id not in (None, filters["profileId"]):
        raise TmError(
            f"the server does not tell which run{of} is the latest",
            hint=f"`tm history list --profile {filters['profileId']}` shows them",
            code="unknown_run",
        )
    if not found:
        raise TmError(
            f"no run{of} is in the history",
            hint="`tm history list` shows what is there; a run is listed when it has ended",
            code="unknown_run",
        )
    return found[0]


def _with_run_id(session: CommandContext, text: str, *, for_change: bool) -> HistoryRow:
    """Search for a run id; the embedded server does it itself, others ignore that filter."""
    found: list[HistoryRow] = []
    beginning = text.lower()
    rows = HistoryRows(session, {"runId": beginning})
    for count, page in enumerate(rows.pages(), 1):
        for row in page:
            if (row.run_id or "").lower() == beginning:
                return row
        found += [row for row in page if (row.run_id or "").lower().startswith(beginning)]
        if len(found) > _MOST_NAMED or count == MOST_PAGES:
            break
    if len(found) == 1 and (rows.is_complete or not for_change):
        return found[0]
    raise _not_found(text, rows.is_complete) if not found else _ambiguous(text, found)


def _not_found(text: str, is_complete: bool) -> TmError:
    where = "" if is_complete else f" of the newest {MOST_PAGES * LARGEST_PAGE:,}"
    return TmError(
        f"no run{where} in the history has an id that begins with {sanitize(text)!r}",
        hint="`tm history list` shows what is there",
        code="unknown_run",
    )


def short_title(row: HistoryRow) -> str:
    """Return what people know a run by: its profile and its start."""
    started = instant(row.started_at) or "at an unknown time"
    return f"{sanitize(row.profile_name or '?')}, {started}"


def _ambiguous(text: str, found: Sequence[HistoryRow]) -> TmError:
    named = [
        f"{row.id} ({sanitize(row.run_id)}, {short_title(row)})" for row in found[:_MOST_NAMED]
    ]
    several = len(found) > 1
    more = ", and others" if len(found) > _MOST_NAMED or not several else ""
    return TmError(
        f"several runs have an id that begins with {sanitize(text)!r}"
        if several
        else f"the history is too long to tell whether one run only begins with {sanitize(text)!r}",
        hint=f"use a history id: {'; '.join(named)}{more if several else ''}",
        code="ambiguous_run",
    )
