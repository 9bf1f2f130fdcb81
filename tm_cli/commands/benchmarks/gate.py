"""`tm benchmarks start` and `tm benchmarks wait`: the gate over benchmark runs."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from tm_cli.api.errors import HttpError, InvalidResponse
from tm_cli.api.runloop import RUN_FIELDS, Benchmark, BenchmarkRun
from tm_cli.backends.runloop.baseline import (
    AMBIGUOUS,
    LAST,
    UNKNOWN,
    BaselineQuery,
    expect,
    find_benchmark,
    get_run,
    select_baseline,
)
from tm_cli.backends.runloop.driven_runs import DrivenRuns, Driver
from tm_cli.backends.runloop.judge import Baseline, Expected
from tm_cli.backends.runloop.rules import Rules, share
from tm_cli.backends.runloop.runs import BenchmarkRuns, BenchmarkTerms, StartOptions
from tm_cli.backends.runloop.start import read_run_profile
from tm_cli.cli.session import CommandContext
from tm_cli.commands.benchmarks.terms import RUN, RememberedBenchmark, RunloopGate
from tm_cli.commands.benchmarks.views import run_details
from tm_cli.commands.shared.ci_platforms import ci_metadata
from tm_cli.commands.shared.follow import FollowedRun
from tm_cli.commands.shared.gate import StartOutcome
from tm_cli.commands.shared.last_start import RememberedRun
from tm_cli.errors import Refused, TmError, UsageError
from tm_cli.gate.backend import Backend
from tm_cli.gate.policy import Gate
from tm_cli.render.tables import age
from tm_cli.runtime.subprocesses import find_program, split_command
from tm_cli.values.text import sanitize
from tm_cli.values.verdict import format_fail_on


@dataclass(frozen=True, slots=True)
class BenchmarkStart:
    """What the user asked to start; `command` are the words of the driver."""

    benchmarks: tuple[str, ...]
    options: StartOptions
    command: tuple[str, ...] = ()


def read_start(
    session: CommandContext,
    *,
    benchmarks: Sequence[str],
    name: str | None,
    metadata: Mapping[str, Any],
    profile: str | None = None,
    baseline: BaselineQuery,
    drive: str | None = None,
    is_gated: bool,
) -> BenchmarkStart:
    """Check all that needs no server; raises UsageError and ConfigurationError."""
    if name is not None and (not name.strip() or len(benchmarks) > 1):
        raise UsageError("--name is empty" if len(benchmarks) == 1 else "--name is of one run")
    if baseline.run not in (None, "last") and len(benchmarks) > 1:
        raise UsageError("--baseline RUN needs exactly one BENCHMARK")
    found = {**ci_metadata(session.context.environ), **metadata}
    run_profile = read_run_profile(session.context.cwd / profile) if profile else None
    command = _read_command(session, drive) if drive else ()
    options = StartOptions(name, found, run_profile, is_gated)
    return BenchmarkStart(tuple(benchmarks), options, command)


def _read_command(session: CommandContext, text: str) -> tuple[str, ...]:
    """Return the words of a driver whose program is there; raises UsageError."""
    try:
        words = split_command(text)
    except ValueError as problem:
        raise UsageError(f"--exec cannot be read: {problem}") from None
    program = find_program(words[0], session.context.environ)
    if program is None:
        raise UsageError(
            f"--exec: cannot find the program {words[0]!r}",
            hint="it is run without a shell: name a program, or `sh -c '...'`",
        )
    return (program, *words[1:])


class BenchmarkGate(RunloopGate):
    @cached_property
    def _not_found(self) -> dict[str, TmError]:
        """Why a benchmark could not be read, by what the user called it."""
        return {}

    def plan(self, request: BenchmarkStart, gate: Gate) -> list[FollowedRun[Backend]]:
        """Find every benchmark, its scenarios and its baseline before anything is started.

        Without a gate none of them is needed: what cannot be read then is read by the wait.
        """
        benchmarks: list[Benchmark] = []
        planned = []
        for text in request.benchmarks:
            benchmark = self._find(text, request.options)
            if benchmark.id in [other.id for other in benchmarks]:
                raise UsageError(f"benchmark {sanitize(text)} is named twice")
            benchmarks.append(benchmark)
            planned.append(self._planned(benchmark, request, gate))
        if not request.command:
            self.session.note(
                "tm: a run starts no scenario by itself: something must drive it (--exec)"
            )
        return planned

    def attach(
        self, run_ids: Sequence[str], name: str | None, gate: Gate
    ) -> list[FollowedRun[Backend]]:
        """Return runs that something else drives; fix now what a start would have fixed."""
        if name is not None:
            run_ids = [self._only_run_named(name)]
        return [
            self._attached(get_run(self.client, run_id), gate, self.rules) for run_id in run_ids
        ]

    def _planned(
        self, benchmark: Benchmark, request: BenchmarkStart, gate: Gate
    ) -> FollowedRun[Backend]:
        terms = self._terms_of(benchmark, request.options)
        name = sanitize(benchmark.name or benchmark.id)
        if terms.expected.total is not None:
            self._note_baseline(name, terms)
        runs = self._runs(benchmark.id, name, terms, gate, request.options)
        driven = (
            self._driven(runs, benchmark.id, request.command, gate) if request.command else runs
        )
        return FollowedRun(name, driven, benchmark.id, _remembered_terms(terms, gate).document())

    def _find(self, text: str, options: StartOptions) -> Benchmark:
        """Find a benchmark; without a gate, take what cannot be found for the id of one."""
        try:
            return find_benchmark(self.client, text)
        except (HttpError, InvalidResponse, Refused) as problem:
            if options.is_gated or problem.code == AMBIGUOUS:
                raise
            self._not_found[text] = problem
            return Benchmark(id=text)

    def _terms_of(self, benchmark: Benchmark, options: StartOptions) -> BenchmarkTerms:
        """Fix what a run is judged by; without a gate, leave what cannot be read to the wait."""
        problem = self._not_found.get(benchmark.id)
        if problem is None:
            try:
                expected = expect(benchmark, self.rules)
                baseline = select_baseline(self.client, benchmark.id, self.rules, self.baseline)
                return BenchmarkTerms(self.rules, expected, baseline)
            except (HttpError, InvalidResponse, Refused) as error:
                problem = error
        if options.is_gated or self.baseline not in (BaselineQuery(), BaselineQuery(LAST)):
            raise problem
        if self.rules.is_set:
            reason = sanitize(problem.message)
            self.session.note(f"tm: what the run is judged by is read by the wait: {reason}")
        return BenchmarkTerms(self.rules, Expected())

    def start(self, run: FollowedRun[Backend]) -> StartOutcome:
        """Start a run that is not waited for; show all that the answer says of it."""
        run.runs.prepare()
        try:
            found = super().start(run)
        except Refused as error:
            reason = self._not_found.get(str(run.subject_id), error)
            if error.code == "not_supported" and reason.code == UNKNOWN:
                raise reason from None
            raise
        if not isinstance(run.runs, BenchmarkRuns) or run.runs.answer is None:
            return found
        for doubt in run.runs.doubts:
            self.session.terminal.write_line(f"tm: {doubt}")
        answer = run.runs.answer
        document = answer.document()
        score = "" if answer.score is None else f", score {sanitize(answer.score)}"
        text = "\n  ".join([found.text + score, *run_details(answer)])
        return replace(found, text=text, extra={name: document.get(name) for name in RUN_FIELDS})

    def _attached(self, run: BenchmarkRun, gate: Gate, rules: Rules) -> FollowedRun[Backend]:
        if run.benchmark_id is None and rules.expected is None:
            raise UsageError(
                f"run {sanitize(run.id)} belongs to no benchmark that says what a whole run is",
                hint="say how many scenarios there must be with --expect N",
            )
        benchmark = Benchmark(id=run.id)
        if run.benchmark_id is not None:
            benchmark = find_benchmark(self.client, run.benchmark_id)
        baseline = select_baseline(self.client, run.benchmark_id, rules, self.baseline, than=run)
        terms = BenchmarkTerms(rules, expect(benchmark, rules, to_run=False), baseline)
        self._note_baseline(sanitize(run.id), terms)
        name = sanitize(benchmark.name or run.benchmark_id or run.name or run.id)
        return self._existing(run, name, terms, gate)

    def reattach(
        self, entry: RememberedRun, found: RememberedBenchmark, gate: Gate
    ) -> FollowedRun[Backend]:
        client, run = self.client, get_run(self.client, entry.run_id)
        if found.expected.total is None:
            return self._attached(run, gate, found.rules)
        was_not_sought = found.baseline is None and found.choice is None
        if self.baseline.run or self.baseline.match or was_not_sought:
            baseline = select_baseline(
                client, run.benchmark_id, found.rules, self.baseline, than=run
            )
        elif found.baseline is None:
            baseline = Baseline(why=found.choice or "there is no earlier run")
        else:
            before, chosen = get_run(client, found.baseline), BaselineQuery(found.baseline)
            baseline = select_baseline(client, before.benchmark_id, found.rules, chosen)
            baseline = replace(baseline, choice=found.choice)
        terms = BenchmarkTerms(found.rules, found.expected, baseline)
        return self._existing(run, sanitize(entry.subject), terms, gate)

    def _existing(
        self, run: BenchmarkRun, name: str, terms: BenchmarkTerms, gate: Gate
    ) -> FollowedRun[Backend]:
        runs = self._runs(run.benchmark_id, name, terms, gate)
        return FollowedRun(name, runs, run.benchmark_id, attach_to=runs.attach(run.id))

    def _runs(
        self,
        benchmark_id: str | None,
        name: str,
        terms: BenchmarkTerms,
        gate: Gate,
        options: StartOptions | None = None,
    ) -> BenchmarkRuns:
        before = terms.baseline.measured
        flags = self.resume_flags(gate, terms.rules, before.run_id if before else None)

        def resume(run_id: str) -> str:
            return shlex.join(["tm", "benchmarks", "wait", sanitize(run_id), *map(sanitize, flags)])

        return BenchmarkRuns(
            self.client,
            self.session.context.clock,
            benchmark_id,
            subject=name,
            terms=terms,
            make_token=self.session.context.make_token,
            start=options,
            stop_client=self.stop_client(),
            resume=resume,
        )

    def _driven(
        self, runs: BenchmarkRuns, benchmark_id: str, command: Sequence[str], gate: Gate
    ) -> DrivenRuns:
        """Return runs that this command drives; it ends with the command of tm at the latest."""
        context = self.session.context
        environ = {**context.environ, "RUNLOOP_BENCHMARK_ID": benchmark_id}

        def spawn(variables: Mapping[str, str]) -> Driver:
            return context.spawn(command, {**environ, **variables})

        driven = DrivenRuns(runs, context.clock, spawn, wait_timeout=gate.wait_timeout)
        self.session.keep_open(driven.end_driver)
        return driven

    def _only_run_named(self, name: str) -> str:
        found = [run for run in self.client.list_runs(name=name) if run.name == name]
        if len(found) == 1:
            return found[0].id
        if not found:
            raise TmError(f"no run is named {sanitize(name)}", code="unknown_run")
        ids = ", ".join(sanitize(run.id) for run in found[:5])
        raise TmError(
            f"{len(found)} runs are named {sanitize(name)}: {ids}",
            hint="wait for one by its id",
            code="ambiguous_run",
        )

    def _note_baseline(self, name: str, terms: BenchmarkTerms) -> None:
        before = terms.baseline.measured
        if before is not None:
            text = (
                f"baseline run {sanitize(before.run_id)}, score {share(before.usable_score or 0.0)}"
            )
            if before.began_ms is not None:
                since = self.session.context.clock.now().timestamp() - before.began_ms / 1000
                text += f", {age(since)} old"
            self.session.note(f"tm: {name}: {text} ({terms.baseline.choice})")
        elif terms.rules.needs_baseline:
            self.session.note(f"tm: {name}: no baseline: {terms.baseline.why}")


def _remembered_terms(terms: BenchmarkTerms, gate: Gate) -> RememberedBenchmark:
    before = terms.baseline.measured
    why = terms.baseline.why if terms.rules.needs_baseline else None
    return RememberedBenchmark(
        RUN,
        terms.rules,
        terms.expected,
        baseline=before.run_id if before else None,
        choice=terms.baseline.choice if before else why,
        fail_on=format_fail_on(gate.fail_on) or None,
    )
