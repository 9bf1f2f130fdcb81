"""Clients of the configured Runloop server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from tm_cli.api.retry import RequestBudget
from tm_cli.api.runloop.client import Client, explain
from tm_cli.api.runloop.models import BenchmarkRun, ScenarioRun
from tm_cli.api.transport import Connection, Transport
from tm_cli.backends.runloop.documents import read_run_profile
from tm_cli.backends.runloop.measurements import FINISHED
from tm_cli.backends.runloop.rules import read_score
from tm_cli.cli.session import Session
from tm_cli.commands.shared.follow import Line
from tm_cli.errors import OutputError, TmError, WaitTimeout
from tm_cli.runtime.clock import reads_of_a_wait
from tm_cli.runtime.files import write_whole
from tm_cli.settings import RUNLOOP
from tm_cli.values.text import clean

SYSTEM = RUNLOOP

PER_MINUTE = 300
"""Requests that we allow ourselves; the service publishes no limit."""

PER_LOOK = 2
"""Requests of one look at a run: the run and its scenario runs."""

STOP_PATIENCE = 1.5
"""Seconds for the request that cancels a run when a signal has come."""


def benchmark_client(session: Session) -> Client:
    """Return a client; raises ConfigurationError when no key is configured."""
    budget = RequestBudget(session.context.clock, PER_MINUTE)
    return _client(session, replace(_connection(session), budget=budget))


def hasty_client(session: Session) -> Client:
    """Return a client for what must not take long."""
    connection = _connection(session)
    timeout = min(connection.timeout, STOP_PATIENCE)
    return _client(session, replace(connection, timeout=timeout, budget=None))


def line_to(session: Session) -> Line:
    """Return where all runs of this call are."""
    return Line(_connection(session).base_url, PER_MINUTE // PER_LOOK)


def server_name(session: Session) -> str:
    """Return the server as `--last` remembers it."""
    return _connection(session).base_url


def _connection(session: Session) -> Connection:
    return replace(session.connect_to(RUNLOOP), explain=explain)


def _client(session: Session, connection: Connection) -> Client:
    transport = Transport(connection)
    session.keep_open(transport.close)
    client = Client(transport, session.context.clock, session.context.make_token)
    return client.pausing_at_most(session.longest_pause)


SCORE_PAUSE = 2.0
"""Seconds between two looks for a score."""


def complete_run(session: Session, run_id: str) -> int:
    """Complete a run and print how it is afterwards."""
    run = benchmark_client(session).complete_run(run_id)
    return session.emit(run.document(), lambda: _state_line("run", run))


def cancel_run(session: Session, run_id: str) -> int:
    """Cancel a run and print how it is afterwards; it may have been completed first."""
    run = benchmark_client(session).cancel_run(run_id)
    return session.emit(run.document(), lambda: _state_line("run", run))


def save_run_logs(session: Session, run_id: str, output: str) -> int:
    """Write the logs of a run to a file."""
    return _save(session, benchmark_client(session).download_run_logs(run_id), output)


def start_scenario(
    session: Session,
    scenario_id: str,
    *,
    run: str | None,
    name: str | None,
    metadata: Mapping[str, str],
    profile: str | None,
) -> int:
    """Start one scenario and print its run."""
    run_profile = read_run_profile(session.context.cwd / profile) if profile else None
    started = benchmark_client(session).start_scenario_run(
        scenario_id,
        benchmark_run_id=run,
        run_name=name,
        metadata=metadata or None,
        run_profile=run_profile,
    )
    return session.emit(started.document(), lambda: _state_line("scenario run", started))


def score_scenario_run(session: Session, run_id: str) -> int:
    """Ask for a score and print the run."""
    found = benchmark_client(session).score_scenario_run(run_id)
    return session.emit(found.document(), lambda: _state_line("scenario run", found))


def score_and_wait(session: Session, run_id: str, limit: float) -> int:
    """Ask for a score and look, for at most `limit` seconds, until it is there.

    Raises TmError when the scenario run ends without one, WaitTimeout when it goes on.
    """
    client, clock = benchmark_client(session), session.context.clock
    deadline = clock.monotonic() + limit
    found = client.score_scenario_run(run_id)
    while found.state not in FINISHED:
        if clock.monotonic() >= deadline:
            raise WaitTimeout(f"scenario run {clean(run_id)} is still {clean(found.state)}")
        clock.sleep(SCORE_PAUSE)
        with reads_of_a_wait(deadline, clock):
            found = client.get_scenario_run(run_id)
    if read_score(found.score) is None:
        raise TmError(f"scenario run {clean(run_id)} is {clean(found.state)} without a score")
    return session.emit(found.document(), lambda: _state_line("scenario run", found))


def complete_scenario_run(session: Session, run_id: str) -> int:
    """Complete a scenario run and print it."""
    found = benchmark_client(session).complete_scenario_run(run_id)
    return session.emit(found.document(), lambda: _state_line("scenario run", found))


def cancel_scenario_run(session: Session, run_id: str) -> int:
    """Cancel a scenario run and print it."""
    found = benchmark_client(session).cancel_scenario_run(run_id)
    return session.emit(found.document(), lambda: _state_line("scenario run", found))


def save_scenario_logs(session: Session, run_id: str, output: str) -> int:
    """Write the logs of a scenario run to a file."""
    return _save(session, benchmark_client(session).download_scenario_logs(run_id), output)


def _state_line(what: str, found: BenchmarkRun | ScenarioRun) -> str:
    return f"{what} {clean(found.id)} is {clean(found.state) or 'in no state'}"


def _save(session: Session, content: bytes, output: str) -> int:
    """Write the archive in one step; what is in it is not unpacked."""
    path = session.context.cwd / output
    try:
        write_whole(path, content)
    except OSError as problem:
        raise OutputError(f"cannot write {path}: {problem.strerror}") from None
    data = {"file": str(path), "bytes": len(content)}
    return session.emit(data, lambda: f"wrote {len(content):,} bytes to {clean(output)}")
