"""`--exec`: the command that drives a benchmark run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tm_cli.commands.session import Session
from tm_cli.driver import find_program, split_command
from tm_cli.errors import UsageError
from tm_cli.systems.runloop.driven import DrivenRuns, Driver
from tm_cli.systems.runloop.runs import BenchmarkRuns


def read_command(session: Session, text: str) -> tuple[str, ...]:
    """Return the words of a driver whose program is there; raises UsageError."""
    try:
        words = split_command(text)
    except ValueError as problem:
        raise UsageError(f"--exec cannot be read: {problem}") from None
    program = find_program(words[0], session.context.environ)
    if program is None:
        raise UsageError(
            f"--exec: there is no program {words[0]!r}",
            hint="it is run without a shell: name a program, or `sh -c '...'`",
        )
    return (program, *words[1:])


def driven_by(
    session: Session,
    command: Sequence[str],
    runs: BenchmarkRuns,
    *,
    benchmark_id: str,
    wait_timeout: float,
) -> DrivenRuns:
    """Return runs that this command drives; it ends with the command of tm at the latest."""
    environ = {**session.context.environ, "RUNLOOP_BENCHMARK_ID": benchmark_id}

    def spawn(variables: Mapping[str, str]) -> Driver:
        return session.context.spawn(command, {**environ, **variables})

    driven = DrivenRuns(runs, session.context.clock, spawn, wait_timeout=wait_timeout)
    session.keep_open(driven.end_driver)
    return driven
