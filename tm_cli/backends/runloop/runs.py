"""Benchmark runs for the gate (sections 4, 5, 8 and 9 of the contract)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Required, TypedDict, TypeVar, Unpack

from tm_cli.api.errors import ApiError, HttpError, InvalidResponse
from tm_cli.api.runloop import BenchmarkRun, RunloopClient
from tm_cli.backends.runloop.baseline import NOT_THERE, unknown_run
from tm_cli.backends.runloop.judge import Baseline, Case, Expected
from tm_cli.backends.runloop.measurements import ENDED, FINISHED, SCORED, UNDER_WAY, of_run
from tm_cli.backends.runloop.results import baseline_result, run_result
from tm_cli.backends.runloop.rules import Rules, read_score
from tm_cli.backends.runloop.start import (
    BenchmarkStarter,
    NotFoundGrace,
    check_started,
    not_started,
)
from tm_cli.errors import TmError, Undecided
from tm_cli.gate.backend import Backend
from tm_cli.gate.model import Missing, Phase, Progress, Result, Run
from tm_cli.runtime.clock import Clock
from tm_cli.values.durations import format_duration
from tm_cli.values.text import sanitize

T = TypeVar("T")
MARK = "tm_start"
"""The metadata by which a run is recognised when the answer to its start is lost."""

STALLED = 300.0
"""Seconds without any change after which a warning is shown."""


@dataclass(frozen=True, slots=True)
class StartOptions:
    """What to start; `is_gated` says that a gate waits for the run and must know it to be new."""

    name: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    run_profile: Mapping[str, Any] | None = None
    is_gated: bool = True


@dataclass(frozen=True, slots=True)
class BenchmarkTerms:
    """What a run is judged by, fixed before it starts."""

    rules: Rules
    expected: Expected
    baseline: Baseline = field(default_factory=Baseline)


class BackendOptions(TypedDict, total=False):
    """What runs and jobs are made with.

    `stop_client` is a client for a cancellation that must not take long; `resume` returns the
    command line that waits for a run.
    """

    subject: Required[str]
    make_token: Required[Callable[[], str]]
    stop_client: RunloopClient | None
    resume: Callable[[str], str] | None


class RunloopBackend(Backend):
    """What runs and jobs share."""

    def __init__(
        self, client: RunloopClient, clock: Clock, **options: Unpack[BackendOptions]
    ) -> None:
        self._client = client
        self._reader = client.without_retries()  # the gate repeats reads itself
        self._stop_client = options.get("stop_client") or client
        self._clock = clock
        self._subject = options["subject"]
        self._make_token = options["make_token"]
        self._resume = options.get("resume")
        self._stall: StallDetector | None = None
        self._not_found = NotFoundGrace(clock)

    def attach(self, run_id: str) -> Run:
        """Return the run or job of this id, which was started elsewhere."""
        return self._as_run(run_id, "", None)

    def retry_pause(self, error: TmError) -> float | None:
        """Repeat what says nothing about the run; a refused key is final."""
        return self._not_found.retry_pause(error)

    def _as_run(self, run_id: str, state: str, asked_at: datetime | None) -> Run:
        resume = self._resume(run_id) if self._resume else ""
        return Run(run_id, self._subject, sanitize(state), asked_at, resume or None)

    def _read_by_id(
        self, read: Callable[[str], T], run: Run, unknown: Callable[[str], TmError]
    ) -> T:
        """Read a run or job; raises `unknown` for a 404 that is believed."""
        run_id = run.run_id or ""
        try:
            return read(run_id)
        except HttpError as error:
            is_answer = error.status in NOT_THERE and error.from_api
            if is_answer and not self._not_found.excuses(error):
                raise unknown(run_id) from None
            raise

    def _active(
        self, run_id: str, state: str, items: dict[str, int] | None, expected: int | None
    ) -> Progress:
        """Return the progress of a run that goes on; `items` counts scenario runs by state."""
        self._stall = self._stall or StallDetector(self._clock, run_id)
        warnings = self._stall.warnings(state, items, expected)
        return Progress(
            Phase.ACTIVE,
            sanitize(state) or "no state",
            is_ours=True,
            warnings=warnings,
            items=items or {},
            expected=expected,
        )


class BenchmarkRuns(RunloopBackend):
    """The runs of one benchmark; `answer` is the answer to the last start, with our `doubts`."""

    def __init__(
        self,
        client: RunloopClient,
        clock: Clock,
        benchmark_id: str | None,
        *,
        terms: BenchmarkTerms,
        start: StartOptions | None = None,
        **options: Unpack[BackendOptions],
    ) -> None:
        super().__init__(client, clock, **options)
        self._benchmark_id = benchmark_id
        self._terms = terms
        self._start = start or StartOptions()
        before = terms.baseline.measured
        self._known = frozenset({before.run_id} if before else ())
        self._all_are_known = False
        self._token: str | None = None
        self.doubts: tuple[str, ...] = ()
        self.answer: BenchmarkRun | None = None

    def prepare(self) -> None:
        """Read which runs there are, because the answer to a start must not name one of them."""
        try:
            before = self._client.list_runs(benchmark_id=self._benchmark_id)
        except ApiError:
            self._all_are_known = False
        else:
            self._known |= {run.id for run in before}
            self._all_are_known = True

    def start(self) -> Run:
        """Start one run; when the answer is lost, it is found by its mark, not started again."""
        token, self.doubts = self._make_token(), ()
        name = self._start.name or f"tm-{token}"
        starter = BenchmarkStarter(
            self._clock,
            send=lambda: self._send(name, token),
            find=lambda: self._find_started(name, token),
            hint=f"look for it with `tm benchmarks list --name {sanitize(name)}`",
        )
        run, asked_at = starter.start()
        self._known |= {run.id}
        self._token, self._stall, self.answer = token, None, run
        self._not_found.started()
        return self._as_run(run.id, run.state, asked_at)

    def observe(self, run: Run) -> Progress:
        seen = self._read(run)
        if seen.state in ENDED:
            return Progress(Phase.ENDED, sanitize(seen.state), is_ours=True)
        items = self._items(seen.id)
        found = self._active(seen.id, seen.state, items, self._terms.expected.total)
        return replace(found, warnings=(*self.doubts, *found.warnings))

    def find_result(self, run: Run) -> Result | Missing:
        """Read the run and all its scenario runs again, and judge them."""
        seen = self._read(run)
        if seen.state not in ENDED:
            raise Undecided(
                f"run {sanitize(seen.id)} had ended and is "
                f"{sanitize(seen.state) or 'in no state'} now",
                hint=f"look with `tm benchmarks show {sanitize(seen.id)}`",
            )
        scenario_runs = self._reader.list_scenario_runs(seen.id)
        if any(item.benchmark_run_id not in (None, seen.id) for item in scenario_runs):
            raise InvalidResponse("the listing of its scenario runs has those of another run")
        terms = self._terms
        case = Case(of_run(seen, scenario_runs), terms.rules, terms.expected, terms.baseline)
        found = run_result(case, seen.document())
        return replace(found, notes=(*found.notes, *self.doubts))

    def confirm(self, run: Run, result: Result) -> Result:
        """Read the run again: state and score must not have changed since.

        What was judged without a score is a FAIL, and a late score does not change that.
        """
        try:
            seen = self._read(run)
        except ApiError:
            return result
        judged = result.facts
        state, score = seen.document().get("state"), read_score(seen.score)
        judged_score = read_score(judged.get("score"))
        for name, changed in (
            ("state", judged.get("state") != state),
            ("score", judged_score is not None and judged_score != score),
        ):
            if changed:
                raise Undecided(
                    f"the {name} of run {sanitize(seen.id)} changed while it was judged",
                    hint=f"wait for it again: {run.resume}" if run.resume else None,
                )
        return result

    def find_baseline(self, result: Result) -> Result | None:
        return baseline_result(self._terms.baseline)

    def stop(self, run: Run) -> None:
        self._stop_client.cancel_run(run.run_id or "")

    def cancel(self, run: Run) -> str:
        """Cancel the run and return its state: `completed` when that came first."""
        return sanitize(self._client.cancel_run(run.run_id or "").state)

    def complete(self, run: Run) -> None:
        self._client.complete_run(run.run_id or "")

    def _send(self, name: str, token: str) -> BenchmarkRun:
        answer = self._client.start_run(
            self._benchmark_id or "",
            run_name=name,
            metadata={**self._start.metadata, MARK: token},
            run_profile=self._start.run_profile,
            request_id=f"tm-{token}",
        )
        check_started(answer, self._benchmark_id or "", self._known)
        if not _is_of(answer, token):
            self.doubts = (self._doubt(answer, name),)
        return answer

    def _doubt(self, answer: BenchmarkRun, name: str) -> str:
        """Return the warning about an answer without our mark that may all the same be ours.

        A fresh connection has no other answer. A gate needs evidence that the run is new. Raises
        InvalidResponse without it.
        """
        if MARK in answer.metadata:
            raise not_started(answer, " of another start")
        if answer.state in ENDED:
            raise not_started(answer, f", which is {answer.state} already")
        if self._start.is_gated and answer.name not in (None, name):
            raise not_started(answer, f" with another name ({sanitize(answer.name)})")
        if self._start.is_gated and not self._all_are_known:
            raise not_started(answer, ", and it could not be read which runs were there before")
        return (
            f"the answer to the start names run {sanitize(answer.id)} without the metadata that "
            f"was sent ({MARK}); it is taken for the run of this start"
        )

    def _find_started(self, name: str, token: str) -> BenchmarkRun | None:
        """Find the run that a start without an answer has made: no other run has its mark."""
        for run in self._reader.list_runs(name=name):
            if _is_of(run, token) and run.id not in self._known:
                return check_started(run, self._benchmark_id or "", self._known)
        return None

    def _read(self, run: Run) -> BenchmarkRun:
        seen = self._read_by_id(self._reader.get_run, run, unknown_run)
        if self._benchmark_id is not None and seen.benchmark_id not in (None, self._benchmark_id):
            raise InvalidResponse("the answer is about a run of another benchmark")
        if self._token is not None and not self._may_be_ours(seen, self._token):
            raise Undecided(
                f"run {sanitize(seen.id)} does not carry the mark of this start ({MARK})",
                hint=f"look with `tm benchmarks show {sanitize(seen.id)}`",
            )
        self._not_found.seen()
        return seen

    def _may_be_ours(self, seen: BenchmarkRun, token: str) -> bool:
        """Whether it carries our mark, or no mark where the answer to the start had none either."""
        if _is_of(seen, token):
            self.doubts = ()
            return True
        return bool(self.doubts) and MARK not in seen.metadata

    def _items(self, run_id: str) -> dict[str, int] | None:
        """Scenario runs by state; None when they could not be read, which says nothing.

        Raises HttpError when the server asks for a pause.
        """
        try:
            return count_states([item.state for item in self._reader.list_scenario_runs(run_id)])
        except ApiError as error:
            if isinstance(error, HttpError) and error.retry_after:
                raise
            return None


class StallDetector:
    """Notices that nothing changes any more; its warnings stay the same, so each is shown once."""

    def __init__(self, clock: Clock, run_id: str) -> None:
        self._clock = clock
        self._run_id = sanitize(run_id)
        self._last: Mapping[str, int] | None = None
        self._since = clock.monotonic()

    def warnings(
        self, state: str, items: Mapping[str, int] | None, expected: int | None
    ) -> tuple[str, ...]:
        """Return warnings about a run that goes on; `items` counts scenario runs by state."""
        found = []
        if state not in UNDER_WAY:
            found.append(f"the state {sanitize(state) or 'without a name'} is unknown to tm")
        if items is not None and items != self._last:
            self._last, self._since = dict(items), self._clock.monotonic()
        if self._last is not None and self._clock.monotonic() - self._since >= STALLED:
            found.append(self._stalled(self._last, expected))
        return tuple(found)

    def _stalled(self, items: Mapping[str, int], expected: int | None) -> str:
        waited = format_duration(STALLED)
        if not items:
            return f"no scenario run has appeared for {waited}: does anything drive this run?"
        is_done = set(items) <= FINISHED and sum(items.values()) >= (expected or 1)
        if is_done and SCORED in items:
            return (
                "all scenarios are scored, but neither they nor the run are completed "
                f"(tm benchmarks complete {self._run_id})"
            )
        if is_done:
            return f"all scenarios have ended: tm benchmarks complete {self._run_id} ends the run"
        return f"no scenario run has changed for {waited}"


def _is_of(run: BenchmarkRun, token: str) -> bool:
    """Whether a run carries the mark of a start: in its metadata, else in its generated name."""
    if MARK in run.metadata:
        return bool(run.metadata[MARK] == token)
    return run.name == f"tm-{token}"


def count_states(states: list[str]) -> dict[str, int]:
    """How many scenario runs are in each state, the most frequent first."""
    return {sanitize(state) or "no state": n for state, n in Counter(states).most_common()}
