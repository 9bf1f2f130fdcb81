"""Clients of the configured Runloop server, and actions on runs and scenario runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tm_cli.api.retry import RequestBudget
from tm_cli.api.runloop import BenchmarkRun, RunloopClient, ScenarioRun, read_runloop_error
from tm_cli.api.transport import Connection
from tm_cli.backends.runloop.measurements import FINISHED
from tm_cli.backends.runloop.rules import read_score
from tm_cli.backends.runloop.start import read_run_profile
from tm_cli.cli.connections import for_a_stop, open_transport
from tm_cli.cli.session import CommandContext
from tm_cli.errors import OutputError, TmError, WaitTimeout
from tm_cli.runtime.clock import reads_of_a_wait
from tm_cli.runtime.files import write_atomic
from tm_cli.settings import RUNLOOP
from tm_cli.values.text import sanitize

PER_MINUTE = 300
"""Requests that we allow ourselves; the service publishes no limit."""

SCORE_PAUSE = 2.0
"""Seconds between two polls for a score."""


def benchmark_client(session: CommandContext) -> RunloopClient:
    """Return a client; raises ConfigurationError when no key is configured."""
    budget = RequestBudget(session.context.clock, PER_MINUTE)
    return _client(session, replace(runloop_connection(session), budget=budget))


def stop_client(session: CommandContext) -> RunloopClient:
    return _client(session, for_a_stop(runloop_connection(session)))


def runloop_connection(session: CommandContext) -> Connection:
    return replace(session.connect_to(RUNLOOP), explain=read_runloop_error)


def _client(session: CommandContext, connection: Connection) -> RunloopClient:
    transport = open_transport(session, connection)
    client = RunloopClient(transport, session.context.clock, session.context.make_token)
    return client.pausing_at_most(session.longest_pause)


def start_scenario(
    session: CommandContext,
    scenario_id: str,
    *,
    run: str | None,
    name: str | None,
    metadata: Mapping[str, Any],
    profile: str | None,
) -> int:
    run_profile = read_run_profile(session.context.cwd / profile) if profile else None
    started = benchmark_client(session).start_scenario_run(
        scenario_id,
        benchmark_run_id=run,
        run_name=name,
        metadata=metadata or None,
        run_profile=run_profile,
    )
    return emit_state(session, "scenario run", started)


def score_and_wait(session: CommandContext, run_id: str, limit: float) -> int:
    """Ask for a score and poll until it is there, for at most `limit` seconds.

    Raises TmError when the scenario run ends without one, WaitTimeout when it is still running.
    """
    client, clock = benchmark_client(session), session.context.clock
    deadline = clock.monotonic() + limit
    found = client.score_scenario_run(run_id)
    while found.state not in FINISHED:
        if clock.monotonic() >= deadline:
            raise WaitTimeout(f"scenario run {sanitize(run_id)} is still {sanitize(found.state)}")
        clock.sleep(SCORE_PAUSE)
        with reads_of_a_wait(deadline, clock):
            found = client.get_scenario_run(run_id)
    if read_score(found.score) is None:
        raise TmError(f"scenario run {sanitize(run_id)} is {sanitize(found.state)} without a score")
    return emit_state(session, "scenario run", found)


def emit_state(session: CommandContext, what: str, found: BenchmarkRun | ScenarioRun) -> int:
    text = f"{what} {sanitize(found.id)} is {sanitize(found.state) or 'in no state'}"
    return session.emit(found.document(), lambda: text)


def save_archive(session: CommandContext, content: bytes, output: str) -> int:
    """Write an archive of logs in one step; what is in it is not unpacked."""
    path = session.context.cwd / output
    try:
        write_atomic(path, content)
    except OSError as problem:
        raise OutputError(f"cannot write {path}: {problem.strerror}") from None
    data = {"file": str(path), "bytes": len(content)}
    return session.emit(data, lambda: f"wrote {len(content):,} bytes to {sanitize(output)}")
