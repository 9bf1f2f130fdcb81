"""Starts without a wait: what has been started is told and remembered, also when the next fails."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from tm_cli.commands.following import Case, remembering
from tm_cli.commands.session import Session

Started = TypeVar("Started")


def start_each(
    session: Session,
    cases: Sequence[Case],
    start: Callable[[int], Started],
    *,
    run_id_of: Callable[[Started], str | None],
    told: Callable[[Case, Started], str],
) -> list[Started]:
    """Call `start` with the position of each case and return what it returned.

    Whatever is raised on the way comes out, after what has been started by then was told.
    """
    memory = remembering(session, cases)
    found: list[Started] = []
    try:
        for position, case in enumerate(cases):
            found.append(start(position))
            memory.note(position, case.record(run_id_of(found[-1]) or ""))
    except BaseException:
        for case, started in zip(cases, found, strict=False):
            session.terminal.note(f"tm: {told(case, started)}")
        raise
    return found
