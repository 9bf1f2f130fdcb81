"""`--last` for benchmark runs and jobs: judged by what was fixed when they were started."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tm_cli.api.runloop.client import Client
from tm_cli.backends.runloop.baseline import BaselineWish, get_run, pin_baseline
from tm_cli.backends.runloop.rules import Rules
from tm_cli.backends.runloop.runs import Terms
from tm_cli.cli.session import Session
from tm_cli.commands.benchmarks.actions import SYSTEM, benchmark_client, line_to, server_name
from tm_cli.commands.benchmarks.gate import RUN, attach, pinned
from tm_cli.commands.benchmarks.job_gate import attach_last
from tm_cli.commands.benchmarks.options import require_a_rule
from tm_cli.commands.benchmarks.terms import Remembered, with_usual_verdicts
from tm_cli.commands.shared.follow import Case, Manners, follow
from tm_cli.commands.shared.last_start import StartedRun, recall, with_verdicts
from tm_cli.errors import ConfigurationError
from tm_cli.gate.policy import Gate
from tm_cli.values.text import clean


def wait_for_last(
    session: Session,
    gate: Gate,
    manners: Manners,
    *,
    rules: Rules | None = None,
    wish: BaselineWish | None = None,
) -> int:
    """Wait for what `tm benchmarks` started last; rules given now replace those of then."""
    started = recall(session)
    if any(entry.system != SYSTEM for entry in started):
        raise ConfigurationError(
            "what was started last in this project is no benchmark",
            hint="`tm runs wait --last` waits for it",
        )
    return wait_for_started(session, started, gate, manners, rules=rules, wish=wish)


def wait_for_started(
    session: Session,
    started: Sequence[StartedRun],
    gate: Gate,
    manners: Manners,
    *,
    rules: Rules | None = None,
    wish: BaselineWish | None = None,
) -> int:
    """Wait for remembered runs of this system."""
    server = server_name(session)
    for entry in started:
        if entry.server != server:
            raise ConfigurationError(
                f"the last run was started on {clean(entry.server)}, not on {server}",
                hint="name that server with RUNLOOP_BASE_URL",
            )
    remembered = [_remembered(entry, rules) for entry in started]
    gate = with_verdicts(session, gate, remembered[0].fail_on)
    gate = with_usual_verdicts(session, gate)
    with manners.reports.begun():
        client = benchmark_client(session)
        cases = [
            _case(session, client, entry, found, gate, wish)
            for entry, found in zip(started, remembered, strict=True)
        ]
        return follow(session, cases, gate, manners, line_to(session))


def _remembered(entry: StartedRun, rules: Rules | None) -> Remembered:
    found = Remembered.from_document(entry.details)
    if rules is not None and rules != Rules():
        found = replace(found, rules=rules)
    require_a_rule(found.rules)
    return found


def _case(
    session: Session,
    client: Client,
    entry: StartedRun,
    remembered: Remembered,
    gate: Gate,
    wish: BaselineWish | None,
) -> Case:
    if remembered.kind != RUN:
        return attach_last(session, client, entry, remembered, gate, wish)
    run = get_run(client, entry.run_id)
    if wish is not None and (wish.run or wish.match):
        baseline = pin_baseline(client, run.benchmark_id, remembered.rules, wish, than=run)
    elif remembered.baseline is None and remembered.choice is None:
        baseline = pin_baseline(
            client, run.benchmark_id, remembered.rules, BaselineWish(), than=run
        )
    else:
        baseline = pinned(client, remembered)
    terms = Terms(remembered.rules, remembered.expected, baseline)
    return attach(session, client, run, terms, gate, subject=clean(entry.subject))
