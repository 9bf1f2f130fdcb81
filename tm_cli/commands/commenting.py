"""`tm report comment`: one comment per gate on a pull request, replaced in place.

A comment that cannot be made is not the gate's business: it is noted, and the command exits 0.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from tm_cli.api.errors import NO_ACCESS, ApiError, HttpError
from tm_cli.api.forges import github, gitlab
from tm_cli.api.forges.thread import Thread, put
from tm_cli.api.transport import Connection, Transport
from tm_cli.commands.forge import Forge, Place, find_place
from tm_cli.commands.platforms import append_summary
from tm_cli.commands.saved_report import load
from tm_cli.commands.session import Session
from tm_cli.commands.telling import step_summary
from tm_cli.errors import UsageError
from tm_cli.gate.record import Evidence
from tm_cli.render.comparisons import escaped
from tm_cli.render.markdown import markdown

LONGEST_NAME = 100
MARGIN = 1024
"""Bytes of a comment that stay free."""


def comment(session: Session, file: str, *, name: str, repo: str | None, number: int | None) -> int:
    """Put a saved report on a pull request, or into the summary where that is not permitted."""
    if not name.strip() or len(name) > LONGEST_NAME:
        raise UsageError(f"--name: it needs 1 to {LONGEST_NAME} characters")
    evidence = load(session.context.cwd / file)
    place = find_place(session.context.environ, session.context.cwd, repo=repo, number=number)
    if place.number is None:
        return _without(session, "this is no pull or merge request")
    if place.token is None:
        return _fall_back(session, evidence, place, f"{place.token_names} is not set")
    try:
        done = _put(session, place, name, evidence)
    except ApiError as error:
        refused = isinstance(error, HttpError) and error.status in NO_ACCESS | {404}
        why = f"{error.message}{'; it needs the right to comment' if refused else ''}"
        return _fall_back(session, evidence, place, why)
    return session.emit(
        {"comment": done, "number": place.number},
        lambda: f"{done} the comment on {place.words} {place.number}",
    )


def _put(session: Session, place: Place, name: str, evidence: Evidence) -> str:
    transport = _transport(session, place)
    marker = marker_of(name)
    limit = (github if place.forge is Forge.GITHUB else gitlab).LONGEST - MARGIN - len(marker)
    title = "" if name == "tm" else f"## {escaped(name)}\n\n"
    text = markdown(evidence, limit=limit - len(title.encode()), footer=place.footer)
    return put(_thread(transport, place), marker, f"{marker}\n{title}{text}")


def marker_of(name: str) -> str:
    """The hidden line that the comment of one gate begins with."""
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:20]
    return f"<!-- tm-gate {digest} -->"


def _thread(transport: Transport, place: Place) -> Thread:
    if place.number is None:  # pragma: no cover
        raise AssertionError("a comment needs a request to stand on")
    kind = github.PullRequest if place.forge is Forge.GITHUB else gitlab.MergeRequest
    return kind(transport, place.repository, place.number)


def _transport(session: Session, place: Place) -> Transport:
    if place.token is None:  # pragma: no cover
        raise AssertionError("a comment needs a token")
    connection = Connection(
        base_url=place.api_url,
        key=place.token,
        bearer=True,
        clock=session.context.clock,
        timeout=session.settings.value("timeout"),
        environ=session.context.environ,
        explain=github.explain,
        ca_file=session.settings.value("ca_file"),
        on_exchange=session.show_exchange if session.verbose else None,
    )
    transport = Transport(connection)
    session.keep_open(transport.close)
    return transport


def _fall_back(session: Session, evidence: Evidence, place: Place, why: str) -> int:
    """Write the step summary instead, where there is one."""
    summary: Path | None = step_summary(session) if place.forge is Forge.GITHUB else None
    if summary is not None and append_summary(session.terminal, summary, evidence):
        return _without(session, f"{why}; the step summary has it instead")
    return _without(session, why)


def _without(session: Session, why: str) -> int:
    session.terminal.note(f"tm: no comment was made: {why}")
    return session.emit({"comment": None, "number": None}, lambda: "no comment")
