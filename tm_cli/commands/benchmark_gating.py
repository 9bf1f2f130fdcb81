"""Joins benchmarks, client and gate for `tm benchmarks start` and `tm benchmarks wait`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tm_cli.api.runloop.client import Client
from tm_cli.api.runloop.models import Benchmark
from tm_cli.commands.benchmark_cases import Subject, attach, case_of, runs_of
from tm_cli.commands.benchmark_client import (
    benchmark_client,
    line_to,
)
from tm_cli.commands.benchmark_driving import driven_by, read_command
from tm_cli.commands.benchmark_terms import (
    say_ungated,
    with_usual_verdicts,
)
from tm_cli.commands.ci_metadata import ci_metadata
from tm_cli.commands.following import Case, Manners, follow
from tm_cli.commands.session import Session
from tm_cli.commands.starting import start_each
from tm_cli.errors import TmError, UsageError
from tm_cli.gate.evidence import Run
from tm_cli.gate.policy import Gate
from tm_cli.gate.system import System
from tm_cli.render.numbers import age
from tm_cli.systems.runloop.documents import read_run_profile
from tm_cli.systems.runloop.pinning import (
    BaselineWish,
    expect,
    find_benchmark,
    get_run,
    pin_baseline,
)
from tm_cli.systems.runloop.rules import Rules
from tm_cli.systems.runloop.runs import StartWish, Terms
from tm_cli.systems.runloop.wording import share
from tm_cli.text import clean


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
