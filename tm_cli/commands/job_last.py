"""`--last` for job runs: judged by the gate that they were started with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from tm_cli.commands.following import Manners
from tm_cli.commands.job_gating import Watch, armed, attached, follow_all
from tm_cli.commands.job_options import read_conditions
from tm_cli.commands.job_server import SYSTEM, open_server
from tm_cli.commands.job_subject import JobSubject
from tm_cli.commands.last_run import StartedRun, recall
from tm_cli.commands.remembered_gate import as_started
from tm_cli.commands.session import Session
from tm_cli.errors import ConfigurationError
from tm_cli.gate.checks import Condition
from tm_cli.gate.policy import Gate
from tm_cli.gate.verdict import Verdict
from tm_cli.text import clean


def wait_for_last_start(session: Session, gate: Gate, manners: Manners, watch: Watch) -> int:
    """Wait for the last start of this project, whichever system it was on."""
    started = recall(session)
    if started[0].system == SYSTEM:
        return wait_for_last(session, started, gate, manners, watch)
    from tm_cli.commands import last_gate

    return last_gate.wait_for_last(session, gate, manners)


def wait_for_last(
    session: Session,
    started: Sequence[StartedRun],
    gate: Gate,
    manners: Manners,
    watch: Watch | None = None,
) -> int:
    """Wait for what was started last in this project; what is not given now is as it was then."""
    watch = watch or Watch()
    details = started[0].details
    gate = as_started(session, gate, details, _conditions)
    with manners.reports.begun():
        server = open_server(session)
        gate = armed(session, gate)
        cases = []
        for entry in started:
            if entry.server != server.address:
                raise ConfigurationError(
                    f"the last run was started on {clean(entry.server)}, not on {server.address}",
                    hint="name that server with STRAIT_BASE_URL",
                )
            subject = JobSubject(str(entry.subject_id), clean(entry.subject))
            own = replace(watch, canceled_as=watch.canceled_as or _canceled_as(entry))
            cases.append(attached(server, subject, entry.run_id, gate, own, runs=len(started)))
        return follow_all(server, cases, gate, manners)


def _canceled_as(entry: StartedRun) -> Verdict:
    """What a canceled run counted as when it was started; a later wait must not be milder."""
    return Verdict.FAIL if entry.details.get("canceled_as") == Verdict.FAIL else Verdict.WARN


def _conditions(details: Mapping[str, Any]) -> tuple[Condition, ...]:
    return read_conditions(details.get("checks") or [], details.get("max_duration"))
