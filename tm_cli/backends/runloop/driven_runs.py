"""A run together with the command that drives it: a run starts no scenario by itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Protocol

from tm_cli.api.errors import NO_ACCESS, ApiError, HttpError
from tm_cli.backends.runloop.measurements import COMPLETED
from tm_cli.backends.runloop.results import failed_result, with_failure
from tm_cli.backends.runloop.runs import BenchmarkRuns
from tm_cli.errors import TmError, WaitTimeout
from tm_cli.gate.backend import Backend
from tm_cli.gate.model import Missing, Phase, Progress, Result, Run
from tm_cli.runtime.clock import Clock
from tm_cli.values.durations import format_duration
from tm_cli.values.text import sanitize

CANCEL_ATTEMPTS = 3
AFTER_SIGNAL = 0.4
USUALLY = 5.0
"""Seconds that a driver has to end by itself: after a signal to tm, and otherwise."""


class Driver(Protocol):
    """A command that is running."""

    def poll(self) -> int | None:
        """Return its exit code, None while it runs."""
        ...

    def ask_to_end(self) -> None:
        """Ask it and all its children to end."""
        ...

    def end(self, patience: float) -> None:
        """End it and all its children; they are killed after `patience` seconds."""
        ...


Spawn = Callable[[Mapping[str, str]], Driver]
"""Starts the command with these variables added to the environment; raises OSError."""


class DrivenRuns(Backend):
    """Starts the driver with each run, completes the run when it exits 0, else cancels and fails.

    `wait_timeout` is how many seconds the driver may take.
    """

    def __init__(
        self, runs: BenchmarkRuns, clock: Clock, spawn: Spawn, *, wait_timeout: float
    ) -> None:
        self._runs = runs
        self._clock = clock
        self._spawn = spawn
        self._wait_timeout = wait_timeout
        self._driver: Driver | None = None
        self._deadline = 0.0
        self._failure: str | None = None

    def prepare(self) -> None:
        self._runs.prepare()

    def start(self) -> Run:
        run = self._runs.start()
        self._failure, self._driver = None, None
        self._deadline = self._clock.monotonic() + self._wait_timeout
        run_id = run.run_id or ""
        try:
            self._driver = self._spawn({"RUNLOOP_BENCHMARK_RUN_ID": run_id, "TM_RUN_ID": run_id})
        except OSError as problem:
            self._failure = f"the driver could not be started: {problem.strerror or problem}"
        return run

    def observe(self, run: Run) -> Progress:
        exit_code = self._driver.poll() if self._driver else None
        if self._driver is not None and exit_code is None:
            return self._while_driven(run, self._driver)
        if exit_code:
            self._failure = self._failure or f"the driver ended with {_describe_exit(exit_code)}"
        if self._failure is not None:
            return self._give_up(run)
        seen = self._runs.observe(run)
        if seen.phase is Phase.ENDED:
            return seen
        try:
            self._runs.complete(run)
        except ApiError as error:
            if isinstance(error, HttpError) and error.status in NO_ACCESS:
                raise
            warning = f"the run could not be completed: {sanitize(error.message)}"
            return replace(seen, warnings=(*seen.warnings, warning))
        return self._runs.observe(run)

    def find_result(self, run: Run) -> Result | Missing:
        """Judge the run; whatever it shows, a driver that failed has failed it."""
        if self._failure is None:
            return self._runs.find_result(run)
        try:
            found = self._runs.find_result(run)
        except TmError:
            found = Missing("")
        if isinstance(found, Missing):
            return failed_result(run.run_id or "", self._failure, {})
        return with_failure(found, self._failure)

    def confirm(self, run: Run, result: Result) -> Result:
        return result if self._failure else self._runs.confirm(run, result)

    def find_baseline(self, result: Result) -> Result | None:
        return self._runs.find_baseline(result)

    def stop(self, run: Run) -> None:
        if self._driver:
            self._driver.ask_to_end()
        try:
            self._runs.stop(run)
        finally:
            self.end_driver(AFTER_SIGNAL)

    def retry_pause(self, error: TmError) -> float | None:
        return self._runs.retry_pause(error)

    def end_driver(self, patience: float = AFTER_SIGNAL) -> None:
        """End the driver and its children, if they still run."""
        if self._driver is not None:
            self._driver.end(patience)

    def _while_driven(self, run: Run, driver: Driver) -> Progress:
        if self._clock.monotonic() >= self._deadline:
            driver.end(USUALLY)
            raise WaitTimeout(
                f"the driver was still running after {format_duration(self._wait_timeout)}; "
                f"it was ended, and {self._canceled(run)}",
                hint="raise --wait-timeout if the driver needs longer",
            )
        seen = self._runs.observe(run)
        if seen.phase is not Phase.ENDED:
            return seen
        if seen.status == COMPLETED:  # the driver did that itself, and may still fail
            return replace(seen, phase=Phase.ACTIVE)
        driver.end(USUALLY)
        self._failure = f"the run was {seen.status} while its driver was still running"
        return seen

    def _give_up(self, run: Run) -> Progress:
        """Cancel the run of a driver that failed; the verdict does not wait for that."""
        self._failure = f"{self._failure}; {self._canceled(run)}"
        return Progress(Phase.ENDED, "driver failed", is_ours=True)

    def _canceled(self, run: Run) -> str:
        """Cancel the run and describe the result; one that was completed first stays completed."""
        name, problem = f"run {sanitize(run.run_id)}", ""
        for attempt in range(CANCEL_ATTEMPTS):
            if attempt:
                self._clock.sleep(1.0)
            try:
                return f"{name} is {self._runs.cancel(run)}"
            except ApiError as error:
                problem = sanitize(error.message)
                if self._runs.retry_pause(error) is None:
                    break
        advice = f"cancel it with `tm benchmarks cancel {sanitize(run.run_id)}`"
        return f"{name} could not be canceled ({problem}): {advice}"


def _describe_exit(exit_code: int) -> str:
    return f"signal {-exit_code}" if exit_code < 0 else f"exit code {exit_code}"
