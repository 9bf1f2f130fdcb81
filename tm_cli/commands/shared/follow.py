"""Follows runs of any backend to their decisions: progress, signals, reports, output, exit code."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

from tm_cli.cli.session import CommandContext
from tm_cli.commands.shared.last_start import LastStart
from tm_cli.commands.shared.report_sinks import Reports
from tm_cli.exit_codes import ExitCode
from tm_cli.gate.backend import Backend
from tm_cli.gate.events import Decided, Ended, Event, Observed, RunStarted
from tm_cli.gate.lifecycle import Follow
from tm_cli.gate.model import Run
from tm_cli.gate.outcome import GateOutcome, Record, exit_code_of, warns
from tm_cli.gate.policy import Gate, worst
from tm_cli.gate.polling import POLL_INTERACTIVE, POLL_LOOPBACK, POLL_UNATTENDED
from tm_cli.gate.scheduler import consume, drive
from tm_cli.render.formats.json_document import as_on_the_wire, to_json
from tm_cli.render.progress import PlainView, View
from tm_cli.render.summary import run_summary
from tm_cli.report.writer import as_document
from tm_cli.runtime.clock import Clock
from tm_cli.runtime.terminal import Terminal
from tm_cli.settings import TRAFFICMORPH
from tm_cli.values.text import sanitize
from tm_cli.values.urls import is_loopback
from tm_cli.values.verdict import Verdict

MOST_NAMED = 5
"""Subjects that the summary of several runs names for each way to end."""

BUDGET_SHARE = 0.7
"""The part of the request budget that polling many runs may use; the rest is for their ends."""

Runs = TypeVar("Runs", bound=Backend, covariant=True)


@dataclass(frozen=True, slots=True)
class WaitBehavior:
    """Fail-fast, Ctrl-C and reports of a wait, and whether its progress may redraw the screen."""

    fail_fast: bool = False
    stop_on_interrupt: bool = False
    reports: Reports = field(default_factory=Reports)
    redraws: bool = True


@dataclass(frozen=True, slots=True)
class FollowedRun(Generic[Runs]):
    """One run to follow: to be started, or there already (`attach_to`).

    `details` is what `--last` needs to judge a run that this call starts, `target` the URL that is
    loaded. A `watched` run is polled often, though no progress is drawn.
    """

    name: str
    runs: Runs
    subject_id: int | str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    attach_to: Run | None = None
    target: str | None = None
    watched: bool = False


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """Base URL and request quota of the server that all runs share."""

    base_url: str
    per_minute: int | None = None


def follow(
    session: CommandContext,
    runs: Sequence[FollowedRun[Backend]],
    gate: Gate,
    wait: WaitBehavior,
    *,
    system: str,
    limits: ServerLimits,
    at_once: int | None = None,
    memory: LastStart | None = None,
) -> int:
    """Follow all runs to their decisions, print them, and return the exit code of the worst.

    `memory` notes each run that is started; the rest is as in `follow_to_the_end`.
    """
    records = follow_to_the_end(
        session, runs, gate, wait, system=system, limits=limits, at_once=at_once, memory=memory
    )
    evidence = GateOutcome(records, gate, exit_code_of(records), session.context.clock.now())
    code = wait.reports.finish(evidence)
    is_remembered = memory is not None and all(record.end.run for record in records)
    print_outcome(session, replace(evidence, exit_code=code), is_remembered=is_remembered)
    return int(code)


def follow_to_the_end(
    session: CommandContext,
    runs: Sequence[FollowedRun[Backend]],
    gate: Gate,
    wait: WaitBehavior,
    *,
    system: str,
    limits: ServerLimits,
    at_once: int | None = None,
    memory: LastStart | None = None,
) -> tuple[Record, ...]:
    """Follow all runs to their decisions, show their progress, and return how each ended.

    `at_once` is how many may be under way at a time, None for all.
    """
    clock = session.context.clock
    terminal = session.terminal if wait.redraws else replace(session.terminal, live=False)
    under_way = min(len(runs), at_once or len(runs))
    watched = bool(gate.abort_if) or any(run.watched for run in runs)
    watched = watched or (terminal.live and not session.quiet)
    gate = _with_polling(gate, limits, runs=under_way, watched=watched)
    follows = [Follow(run.runs, gate, clock, attach_to=run.attach_to) for run in runs]
    outcomes = [_Outcome(system, run.name, run.subject_id) for run in runs]
    events = drive(
        follows,
        gate,
        clock,
        fail_fast=wait.fail_fast,
        stop_on_interrupt=wait.stop_on_interrupt,
        at_once=at_once,
    )
    names = numbered([run.name for run in runs])
    with open_view(terminal, clock, quiet=session.quiet, subjects=names) as view:

        def handle(position: int, event: Event) -> None:
            outcomes[position].note(event)
            if isinstance(event, RunStarted) and memory is not None:
                memory.note(position, event.run.run_id)
            wait.reports.note(position, event)
            view.show(event, position)

        try:
            consume(events, handle)
        except Exception:  # a bug, which the error handler reports
            _note_unfinished(terminal, follows, outcomes)
            raise
    if wait.reports.want_baseline:
        _find_baselines(runs, outcomes)
    return tuple(outcome.record() for outcome in outcomes)


def _note_unfinished(
    terminal: Terminal, follows: Sequence[Follow], outcomes: Sequence[_Outcome]
) -> None:
    """Name the runs that may go on without us."""
    for follow, outcome in zip(follows, outcomes, strict=True):
        if outcome.decided is None and follow.run is not None and follow.run.resume:
            name = f"run {sanitize(follow.run.run_id)} of {sanitize(outcome.subject)}"
            terminal.write_line(f"tm: {name} may still be running; wait: {follow.run.resume}")


def open_view(
    terminal: Terminal, clock: Clock, *, quiet: bool, subjects: Sequence[str] = ("",)
) -> View:
    """Choose the view that fits the terminal and the number of runs."""
    if quiet:
        return View()
    if terminal.live and len(subjects) > 1:
        from tm_cli.render.live import LiveTable

        return LiveTable(terminal, subjects)
    if terminal.live:
        from tm_cli.render.live import LiveView

        return LiveView(terminal, clock)
    return PlainView(terminal, clock, subjects)


def _find_baselines(runs: Sequence[FollowedRun[Backend]], outcomes: Sequence[_Outcome]) -> None:
    """Read the baseline runs that reports show; the decision stands, whatever comes of it."""
    for run, outcome in zip(runs, outcomes, strict=True):
        ending = outcome.decided
        if ending and ending.result and ending.baseline is None:
            outcome.decided = replace(ending, baseline=run.runs.find_baseline(ending.result))


def _with_polling(gate: Gate, limits: ServerLimits, *, runs: int, watched: bool) -> Gate:
    """Poll often where progress is drawn or limits are watched, with many runs in turn."""
    max_interval, budget_interval = POLL_UNATTENDED, 0.0
    if watched:
        max_interval = POLL_LOOPBACK if is_loopback(limits.base_url) else POLL_INTERACTIVE
    if runs > 1 and limits.per_minute is not None:
        budget_interval = runs * 60.0 / (limits.per_minute * BUDGET_SHARE)
    polling = replace(gate.polling, max_interval=max_interval, budget_interval=budget_interval)
    return replace(gate, polling=polling)


@dataclass(slots=True)
class _Outcome:
    """What the events of one run have shown so far."""

    system: str
    subject: str
    subject_id: int | str | None
    status: str | None = None
    decided: Decided | None = None

    def note(self, event: Event) -> None:
        match event:
            case RunStarted(run):
                self.status = run.status or None
            case Observed(progress) | Ended(progress):
                self.status = progress.status
            case Decided():
                self.decided = event

    def record(self) -> Record:
        return Record(self.system, self.subject, self.subject_id, self.status, self.decided)


def print_outcome(
    session: CommandContext, evidence: GateOutcome, *, is_remembered: bool = False
) -> None:
    """Print what is known, whatever was decided."""
    if session.is_go_json:
        rows = [item.end.result.facts for item in evidence.records if item.end.result]
        if rows:
            shown = [as_on_the_wire(row) for row in rows]
            whole = shown[0] if len(evidence.records) == 1 else shown
            session.terminal.write_result(to_json(whole))
    elif session.wants_json:
        session.terminal.write_result(to_json(as_document(evidence)))
    names = numbered([record.subject for record in evidence.records])
    for name, record in zip(names, evidence.records, strict=True):
        _print_record(
            session,
            record,
            evidence.gate,
            name if len(names) > 1 else None,
            is_remembered=is_remembered,
        )
    if len(evidence.records) > 1:
        session.note(f"tm: {_count_outcomes(names, evidence.records)}")


def numbered(names: Sequence[str]) -> list[str]:
    """Return names with a number where the same one occurs again: `export (2)`."""
    counts = Counter(names)
    seen: Counter[str] = Counter()
    found = []
    for name in names:
        seen[name] += 1
        found.append(f"{name} ({seen[name]})" if counts[name] > 1 else name)
    return found


def _count_outcomes(names: Sequence[str], records: Sequence[Record]) -> str:
    """Return how many runs ended in which way and which they are, the worst first."""
    subjects: dict[ExitCode, list[str]] = {}
    for name, record in zip(names, records, strict=True):
        subjects.setdefault(record.end.decision.exit_code, []).append(sanitize(name))
    texts = []
    while subjects:
        code = worst(subjects)
        found = subjects.pop(code)
        more = f" and {len(found) - MOST_NAMED} more" if len(found) > MOST_NAMED else ""
        texts.append(f"{len(found)} {code.name} ({', '.join(found[:MOST_NAMED])}{more})")
    return f"{len(records)} runs: {', '.join(texts)}"


def _print_record(
    session: CommandContext,
    record: Record,
    gate: Gate,
    name: str | None,
    *,
    is_remembered: bool,
) -> None:
    ending, terminal = record.end, session.terminal
    decision = ending.decision
    if ending.run is not None and not session.wants_json:
        terminal.write_result(run_summary(terminal, ending))
    message = f"{name}: {decision.message}" if name else decision.message
    is_told = ending.run is not None and not session.wants_json and terminal.out_is_terminal
    if warns(ending, gate):
        terminal.write_line(f"tm: warning: {sanitize(message)}")
    elif decision.exit_code is ExitCode.OK:
        session.note(f"tm: {sanitize(message)}")
    elif not (is_told or (decision.is_gated and ending.result)):
        terminal.write_line(f"tm: {sanitize(message)}")
    if hint := _next_step(record, by_hand=is_told, is_remembered=is_remembered):
        terminal.write_line(f"hint: {sanitize(hint)}")
    elif record.system == TRAFFICMORPH and (advice := _advice(record)):
        session.note(f"hint: {sanitize(advice)}")


def _advice(record: Record) -> str | None:
    """Return where a verdict leads: to what changed, and to the baseline of the next run."""
    result, decision = record.end.result, record.end.decision
    number = result.facts.get("id") if result is not None else None
    if result is None or type(number) is not int:
        return None
    if result.verdict is Verdict.NO_BASELINE:
        return "the next run of this profile is compared with this one"
    if decision.exit_code is not ExitCode.FAIL:
        return None
    basis = result.basis
    is_compared = type(basis.baseline) is int and not basis.is_ab_run
    details = f"compare {number} {basis.baseline}" if is_compared else f"show {number}"
    advice = f"`tm history {details}` and `--report html=gate.html` show it"
    if not decision.verdict_gated or not is_compared:
        return advice
    if result.facts.get("stoppedAfterSeconds") is not None:
        return f"{advice}; intended? pin a whole run, started with --no-stop-early"
    return f"{advice}; intended? `tm baseline pin {number}`"


def _next_step(record: Record, *, by_hand: bool, is_remembered: bool) -> str | None:
    """Return what to do next; short commands where a person reads it."""
    decision, run = record.end.decision, record.end.run
    is_detached = run is not None and run.resume and f": {run.resume}" in (decision.hint or "")
    if run is None or not (by_hand and is_detached and run.stop) or decision.code != "interrupted":
        return decision.hint
    wait = "tm runs wait --last" if is_remembered else run.resume
    return f"`{wait}` waits for it again, `{run.stop}` stops it"
