"""What a backend must be able to do so that the gate can wait for its runs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

from tm_cli.errors import TmError
from tm_cli.gate.model import Missing, Progress, Result, Run


class Backend(ABC):
    """One subject (a profile, a benchmark, a job) on one server.

    `observe` and `find_result` raise TmErrors; `retry_pause` says which of them leave the
    question open, so that it may be asked again. `search_hint` is how to search for the run of a
    start whose answer never came.
    """

    search_hint: str | None = None

    def prepare(self) -> None:  # noqa: B027  # nothing by default
        """Read what must be known before the start to recognise the run afterwards."""

    @abstractmethod
    def start(self) -> Run:
        """Start exactly one run.

        Raises StartUnknown when it cannot be known whether a run was started, and any other
        TmError when none was.
        """

    def notify_on_change(self, notify: Callable[[], None]) -> bool:
        """Call `notify` from now on, from any thread, when a poll may show something new.

        It makes the next poll come sooner and counts for nothing else. Returns whether it will
        ever be called.
        """
        return False

    @abstractmethod
    def observe(self, run: Run) -> Progress:
        """Poll the run."""

    @abstractmethod
    def find_result(self, run: Run) -> Result | Missing:
        """Search the record of exactly this run."""

    def confirm(self, run: Run, result: Result) -> Result:
        """Return the record in detail; raises Undecided when its verdict is another one."""
        return result

    def with_measurements(self, run: Run, result: Result) -> Result:
        """Return the same record, with more of its measurements where they can be read."""
        return result

    def find_baseline(self, result: Result) -> Result | None:
        """Return the run that `result` was compared with; None without one that can be read."""
        return None

    @abstractmethod
    def stop(self, run: Run) -> None:
        """Ask once, with a short timeout, that the run be stopped."""

    @abstractmethod
    def retry_pause(self, error: TmError) -> float | None:
        """Return the least pause in seconds before a retry, or None when it cannot help."""
