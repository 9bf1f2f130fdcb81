"""`--last`: waits for what was started last, whichever backend that was."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tm_cli.backends.runloop.baseline import BaselineQuery
from tm_cli.backends.runloop.rules import Rules
from tm_cli.cli.session import CommandContext
from tm_cli.commands.benchmarks.gate import BenchmarkGate
from tm_cli.commands.benchmarks.job_gate import BenchmarkJobGate
from tm_cli.commands.benchmarks.terms import RUN, RunloopGate
from tm_cli.commands.jobs.gate import JobGate
from tm_cli.commands.jobs.options import JobWaitOptions
from tm_cli.commands.runs.gate import RunGate
from tm_cli.commands.shared.follow import WaitBehavior
from tm_cli.commands.shared.gate import GateCommand, wait_for_last
from tm_cli.commands.shared.last_start import RememberedRun, read_last_start
from tm_cli.errors import ConfigurationError
from tm_cli.gate.policy import Gate


def wait_for_last_benchmarks(
    session: CommandContext,
    gate: Gate,
    wait: WaitBehavior,
    rules: Rules,
    baseline: BaselineQuery,
) -> int:
    """Wait for what `tm benchmarks` started last; rules given now replace those of then."""
    entries = read_last_start(session)
    if entries[0].system != RunloopGate.system:
        raise ConfigurationError(
            "what was started last in this project is not a benchmark",
            hint="`tm runs wait --last` waits for it",
        )
    return wait_for_last(benchmark_gate(session, entries, rules, baseline), entries, gate, wait)


def benchmark_gate(
    session: CommandContext,
    entries: Sequence[RememberedRun],
    rules: Rules | None = None,
    baseline: BaselineQuery | None = None,
) -> RunloopGate:
    """Return the gate over what was started last: runs or jobs."""
    is_run = entries[0].details.get("kind") == RUN
    return (BenchmarkGate if is_run else BenchmarkJobGate)(session, rules, baseline)


def wait_for_last_start(
    session: CommandContext, gate: Gate, wait: WaitBehavior, job_wait: JobWaitOptions | None = None
) -> int:
    """Wait for the runs of the last start; `job_wait` counts where they are job runs."""
    entries = read_last_start(session)
    return wait_for_last(_command(session, entries, job_wait), entries, gate, wait)


def _command(
    session: CommandContext, entries: Sequence[RememberedRun], job_wait: JobWaitOptions | None
) -> GateCommand[Any]:
    match entries[0].system:
        case RunGate.system:
            return RunGate(session)
        case JobGate.system:
            return JobGate(session, job_wait)
        case RunloopGate.system:
            return benchmark_gate(session, entries)
    raise ConfigurationError("what was started last cannot be waited for by this version of tm")
