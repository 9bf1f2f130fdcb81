"""`wait --last`: waits for what was started last in this project, whichever backend it is on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tm_cli.cli.session import Session
from tm_cli.commands.benchmarks.last_start import benchmark_gate
from tm_cli.commands.benchmarks.terms import RunloopGate
from tm_cli.commands.jobs.gate import JobGate
from tm_cli.commands.jobs.options import JobWaitOptions
from tm_cli.commands.runs.gate import RunGate
from tm_cli.commands.shared import gate as shared
from tm_cli.commands.shared.follow import WaitBehavior
from tm_cli.commands.shared.last_start import RememberedRun, read_last_start
from tm_cli.errors import ConfigurationError
from tm_cli.gate.policy import Gate


def wait_for_last(
    session: Session, gate: Gate, wait: WaitBehavior, job_wait: JobWaitOptions | None = None
) -> int:
    """Wait for the runs of the last start; `job_wait` counts where they are job runs."""
    entries = read_last_start(session)
    return shared.wait_for_last(_command(session, entries, job_wait), entries, gate, wait)


def _command(
    session: Session, entries: Sequence[RememberedRun], job_wait: JobWaitOptions | None
) -> shared.GateCommand[Any]:
    match entries[0].system:
        case RunGate.system:
            return RunGate(session)
        case JobGate.system:
            return JobGate(session, job_wait)
        case RunloopGate.system:
            return benchmark_gate(session, entries)
    raise ConfigurationError("what was started last cannot be waited for by this version of tm")
