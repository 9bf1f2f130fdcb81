"""What a system must be able to do so that the gate can wait for its runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

from tm_cli.errors import TmError
from tm_cli.gate.model import Missing, Progress, Result, Run


class System(Protocol):
    """One subject (a profile, a benchmark, a job) on one server.

    `observe` and `find_result` raise TmErrors; `observed_nothing` says which of them leave the
    question open, so that it may be asked again.
    """

    def prepare(self) -> None:
        """Read what must be known before the start to recognise the run afterwards."""
        ...

    def start(self) -> Run:
        """Start exactly one run.

        Raises StartUnknown when nobody can tell whether a run was started, and any other TmError
        when none was.
        """
        ...

    def observe(self, run: Run) -> Progress:
        """Look at the run."""
        ...

    def find_result(self, run: Run) -> Result | Missing:
        """Search the record of exactly this run."""
        ...

    def confirm(self, run: Run, result: Result) -> Result:
        """Return the record in detail; raises Undecided when its verdict is another one."""
        ...

    def find_baseline(self, result: Result) -> Result | None:
        """Return the run that `result` was compared with; None without one that can be read."""
        ...

    def stop(self, run: Run) -> None:
        """Ask once, and without much patience, that the run be stopped."""
        ...

    def observed_nothing(self, error: TmError) -> float | None:
        """Return the least pause in seconds before asking again, or None when asking is no use."""
        ...


@runtime_checkable
class Announcing(Protocol):
    """A system that may hear of its runs between two looks.

    What it hears makes the next look come sooner and counts for nothing else.
    """

    def announce_to(self, ring: Callable[[], None]) -> bool:
        """Call `ring` from now on, from any thread, when a look may show something new.

        Returns whether it ever will.
        """
        ...
