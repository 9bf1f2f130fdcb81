"""`--last` for benchmark runs and jobs: judged by what was fixed when they were started."""

from __future__ import annotations

from collections.abc import Sequence

from tm_cli.backends.runloop.baseline import BaselineWish
from tm_cli.backends.runloop.rules import Rules
from tm_cli.cli.session import Session
from tm_cli.commands.benchmarks.gate import BenchmarkGate
from tm_cli.commands.benchmarks.job_gate import BenchmarkJobGate
from tm_cli.commands.benchmarks.terms import RUN, RunloopGate
from tm_cli.commands.shared.follow import WaitBehavior
from tm_cli.commands.shared.gate import wait_for_last
from tm_cli.commands.shared.last_start import RememberedRun, read_last_start
from tm_cli.errors import ConfigurationError
from tm_cli.gate.policy import Gate


def wait_for_last_benchmarks(
    session: Session, gate: Gate, wait: WaitBehavior, rules: Rules, baseline: BaselineWish
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
    session: Session,
    entries: Sequence[RememberedRun],
    rules: Rules | None = None,
    baseline: BaselineWish | None = None,
) -> RunloopGate:
    """Return the gate over what was started last: runs or jobs."""
    is_run = entries[0].details.get("kind") == RUN
    return (BenchmarkGate if is_run else BenchmarkJobGate)(session, rules, baseline)
