"""Benchmark runs as cases of the gate: to be started, or there already."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from tm_cli.api.runloop.client import Client
from tm_cli.api.runloop.models import Benchmark, BenchmarkRun
from tm_cli.backends.runloop.baseline import (
    BaselineWish,
    expect,
    find_benchmark,
    get_run,
    pin_baseline,
)
from tm_cli.backends.runloop.documents import read_run_profile
from tm_cli.backends.runloop.driven_runs import DrivenRuns, Driver
from tm_cli.backends.runloop.judge import Baseline
from tm_cli.backends.runloop.rules import Rules, share
from tm_cli.backends.runloop.runs import BenchmarkRuns, StartWish, Terms
from tm_cli.cli.session import Session
from tm_cli.commands.benchmarks.actions import (
    SYSTEM,
    benchmark_client,
    hasty_client,
    line_to,
    server_name,
)
from tm_cli.commands.benchmarks.terms import (
    Remembered,
    resume_flags,
    say_ungated,
    verdicts,
    with_usual_verdicts,
)
from tm_cli.commands.shared.ci_platforms import ci_metadata
from tm_cli.commands.shared.follow import Case, Manners, already_there, follow, start_each
from tm_cli.commands.shared.last_start import StartedRun
from tm_cli.errors import TmError, UsageError
from tm_cli.gate.backend import System
from tm_cli.gate.model import Run
from tm_cli.gate.policy import Gate
from tm_cli.render.tables import age
from tm_cli.runtime.subprocesses import find_program, split_command
from tm_cli.values.text import clean

RUN = "run"


@dataclass(frozen=True, slots=True)
class Subject:
    """A benchmark and what its run is judged by."""

    benchmark: Benchmark
    terms: Terms

    @property
    def name(self) -> str:
        """What people call it."""
        return clean(self.benchmark.name or self.benchmark.id)


def attach(
    session: Session,
    client: Client,
    run: BenchmarkRun,
    terms: Terms,
    gate: Gate,
    *,
    subject: str,
) -> Case:
    """Return the case of a run that is there already; `subject` is what people call it."""
    runs = BenchmarkRuns(
        client,
        session.context.clock,
        run.benchmark_id,
        subject=subject,
        terms=terms,
        make_token=session.context.make_token,
        hasty=hasty_client(session),
        resume=lambda run_id: _resume(session, gate, terms, run_id),
    )
    return Case(
        subject,
        runs,
        already_there,
        runs.attach(run.id),
        run.benchmark_id,
        SYSTEM,
    )


def runs_of(
    session: Session, client: Client, subject: Subject, wish: StartWish, gate: Gate
) -> BenchmarkRuns:
    """Return the runs of a benchmark that is to be started."""
    return BenchmarkRuns(
        client,
        session.context.clock,
        subject.benchmark.id,
        subject=subject.name,
        terms=subject.terms,
        make_token=session.context.make_token,
        wish=wish,
        hasty=hasty_client(session),
        resume=lambda run_id: _resume(session, gate, subject.terms, run_id),
    )


def _resume(session: Session, gate: Gate, terms: Terms, run_id: str) -> str:
    before = terms.baseline.measured
    flags = resume_flags(session, gate, terms.rules, before.run_id if before else None)
    return shlex.join(["tm", "benchmarks", "wait", clean(run_id), *map(clean, flags)])


def case_of(session: Session, subject: Subject, system: System, gate: Gate) -> Case:
    """Return the case of a run that is to be started; it is remembered with all it is judged by."""
    terms = subject.terms
    before = terms.baseline.measured
    why = terms.baseline.why if terms.rules.needs_baseline else None
    remembered = Remembered(
        RUN,
        terms.rules,
        terms.expected,
        baseline=before.run_id if before else None,
        choice=terms.baseline.choice if before else why,
        fail_on=verdicts(gate.fail_on) or None,
    )

    def record(run_id: str) -> StartedRun:
        return StartedRun(
            SYSTEM,
            server_name(session),
            subject.benchmark.id,
            run_id,
            subject.name,
            remembered.document(),
        )

    return Case(subject.name, system, record, None, subject.benchmark.id, SYSTEM)


def pinned(client: Client, remembered: Remembered) -> Baseline:
    """Return the baseline that was pinned, read again."""
    if remembered.baseline is None:
        return Baseline(why=remembered.choice or "there is no earlier run")
    chosen = BaselineWish(remembered.baseline)
    run = get_run(client, remembered.baseline)
    found = pin_baseline(client, run.benchmark_id, remembered.rules, chosen)
    return replace(found, choice=remembered.choice)


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


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What the user asked to start; `command` are the words of the driver."""

    benchmarks: tuple[str, ...]
    wish: StartWish
    rules: Rules
    baseline: BaselineWish
    command: tuple[str, ...] = ()


def read_request(
    session: Session,
    *,
    benchmarks: Sequence[str],
    name: str | None,
    metadata: Mapping[str, str],
    profile: str | None,
    rules: Rules,
    baseline: BaselineWish,
    drive: str | None,
) -> RunRequest:
    """Check all that needs no server; raises UsageError and ConfigurationError."""
    if name is not None and (not name.strip() or len(benchmarks) > 1):
        raise UsageError("--name is empty" if len(benchmarks) == 1 else "--name is of one run")
    if baseline.run not in (None, "last") and len(benchmarks) > 1:
        raise UsageError("--baseline RUN needs exactly one BENCHMARK")
    found = {**ci_metadata(session.context.environ), **metadata}
    run_profile = read_run_profile(session.context.cwd / profile) if profile else None
    wish = StartWish(name, found, run_profile)
    return RunRequest(
        tuple(benchmarks), wish, rules, baseline, read_command(session, drive) if drive else ()
    )


def start_only(session: Session, request: RunRequest, gate: Gate) -> int:
    """Start the runs and return at once; the rules are kept for `--last`."""
    client = benchmark_client(session)
    subjects = list(_subjects(session, client, request))
    all_runs = [runs_of(session, client, one, request.wish, gate) for one in subjects]
    cases = [
        case_of(session, subject, runs, gate)
        for subject, runs in zip(subjects, all_runs, strict=True)
    ]
    started = start_each(
        session,
        cases,
        lambda position: all_runs[position].start(),
        run_id_of=lambda run: run.run_id,
        told=lambda case, run: _told(case.name, run),
    )
    data = [
        {
            "run_id": run.run_id,
            "started_run_id": run.run_id,
            "profile_id": subject.benchmark.id,
            "status": run.status or None,
            "waited": False,
        }
        for subject, run in zip(subjects, started, strict=True)
    ]
    lines = [_told(case.name, run) for case, run in zip(cases, started, strict=True)]
    code = session.emit(data[0] if len(data) == 1 else {"runs": data}, lambda: "\n".join(lines))
    session.note("tm: a run starts no scenario by itself: something must drive it (--exec)")
    for run in started:
        session.note(f"tm: wait for it with: {run.resume}")
    if request.rules.is_set or gate.fail_on:
        say_ungated(session)
    return code


def _told(name: str, run: Run) -> str:
    return f"started run {clean(run.run_id)} of {name}: {run.status}"


def start_and_wait(session: Session, request: RunRequest, gate: Gate, manners: Manners) -> int:
    """Start the runs, wait for their ends and exit by the worst verdict."""
    gate = with_usual_verdicts(session, gate)
    with manners.reports.begun():
        client = benchmark_client(session)
        cases = []
        for subject in _subjects(session, client, request):
            runs = runs_of(session, client, subject, request.wish, gate)
            system: System = runs
            if request.command:
                system = driven_by(
                    session,
                    request.command,
                    runs,
                    benchmark_id=subject.benchmark.id,
                    wait_timeout=gate.wait_timeout,
                )
            cases.append(case_of(session, subject, system, gate))
        _tell_habits(session, request, manners)
        return follow(session, cases, gate, manners, line_to(session))


def wait_for(
    session: Session,
    run_ids: Sequence[str],
    name: str | None,
    rules: Rules,
    wish: BaselineWish,
    gate: Gate,
    manners: Manners,
) -> int:
    """Wait for runs that something else drives."""
    if len(set(run_ids)) != len(run_ids):
        raise UsageError("a run is named twice")
    gate = with_usual_verdicts(session, gate)
    with manners.reports.begun():
        client = benchmark_client(session)
        if name is not None:
            run_ids = [_only_run_named(client, name)]
        cases = [_attached(session, client, run_id, rules, wish, gate) for run_id in run_ids]
        return follow(session, cases, gate, manners, line_to(session))


def _attached(
    session: Session, client: Client, run_id: str, rules: Rules, wish: BaselineWish, gate: Gate
) -> Case:
    """Fix now, as a start would have, what the run is judged by."""
    run = get_run(client, run_id)
    if run.benchmark_id is None and rules.expected is None:
        raise UsageError(
            f"run {clean(run.id)} belongs to no benchmark that says what a whole run is",
            hint="say how many scenarios there must be with --expect N",
        )
    benchmark = Benchmark(id=run.id)
    if run.benchmark_id is not None:
        benchmark = find_benchmark(client, run.benchmark_id)
    baseline = pin_baseline(client, run.benchmark_id, rules, wish, than=run)
    terms = Terms(rules, expect(benchmark, rules, to_run=False), baseline)
    subject = clean(benchmark.name or run.benchmark_id or run.name or run.id)
    _tell_baseline(session, clean(run.id), terms)
    return attach(session, client, run, terms, gate, subject=subject)


def _only_run_named(client: Client, name: str) -> str:
    found = [run for run in client.list_runs(name=name) if run.name == name]
    if len(found) == 1:
        return found[0].id
    if not found:
        raise TmError(f"there is no run named {clean(name)}", code="unknown_run")
    ids = ", ".join(clean(run.id) for run in found[:5])
    raise TmError(
        f"{len(found)} runs are named {clean(name)}: {ids}",
        hint="wait for one by its id",
        code="ambiguous_run",
    )


def _subjects(session: Session, client: Client, request: RunRequest) -> list[Subject]:
    """Find every benchmark, its scenarios and its baseline before anything is started."""
    subjects: list[Subject] = []
    for text in request.benchmarks:
        benchmark = find_benchmark(client, text)
        if benchmark.id in [other.benchmark.id for other in subjects]:
            raise UsageError(f"benchmark {clean(text)} is named twice")
        expected = expect(benchmark, request.rules)
        baseline = pin_baseline(client, benchmark.id, request.rules, request.baseline)
        subject = Subject(benchmark, Terms(request.rules, expected, baseline))
        _tell_baseline(session, subject.name, subject.terms)
        subjects.append(subject)
    return subjects


def _tell_baseline(session: Session, name: str, terms: Terms) -> None:
    before = terms.baseline.measured
    if before is not None:
        told = f"baseline run {clean(before.run_id)}, score {share(before.usable_score or 0.0)}"
        if before.began_ms is not None:
            since = session.context.clock.now().timestamp() - before.began_ms / 1000
            told += f", {age(since)} old"
        session.note(f"tm: {name}: {told} ({terms.baseline.choice})")
    elif terms.rules.needs_baseline:
        session.note(f"tm: {name}: no baseline: {terms.baseline.why}")


def _tell_habits(session: Session, request: RunRequest, manners: Manners) -> None:
    if request.command:
        session.terminal.live = False  # the driver writes to the same screen
    else:
        session.note("tm: a run starts no scenario by itself: something must drive it (--exec)")
    does = "cancels the run" if manners.stop_on_interrupt else "leaves the run going"
    session.note(f"tm: Ctrl-C {does} (--on-interrupt)")
