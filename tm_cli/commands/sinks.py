"""Where a gate is told beside the terminal: files, and the platform that it runs on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Protocol

from tm_cli.errors import TmError
from tm_cli.exit_codes import ExitCode
from tm_cli.gate.events import Event
from tm_cli.gate.policy import Gate
from tm_cli.gate.record import Evidence

_UNDECIDED = TmError("tm did not come to its end", code="undecided")
_UNDECIDED.exit_code = ExitCode.UNDECIDED


def _now() -> datetime:
    return datetime.now(UTC)


class Sink(Protocol):
    """One place where a gate is told."""

    @property
    def wants_baseline(self) -> bool:
        """Whether it shows the baseline run beside ours."""
        ...

    def begin(self, undecided: Evidence) -> None:
        """Say that nothing is decided, before anything is sent; raises UsageError."""
        ...

    def note(self, position: int, event: Event) -> None:
        """Take an event of the subject at `position`; one may come twice."""
        ...

    def finish(self, evidence: Evidence) -> bool:
        """Say what it came to; False when something that was asked for is lost."""
        ...


@dataclass(slots=True)
class Reports:
    """All places where one call is told; `now` is the wall clock."""

    sinks: tuple[Sink, ...] = ()
    now: Callable[[], datetime] = _now
    have_begun: bool = False

    @contextmanager
    def begun(self) -> Iterator[None]:
        """Say undecided everywhere; an error that ends the wait is said as well.

        Raises UsageError, before anything is sent, when a file cannot be written.
        """
        self.have_begun = True
        for sink in self.sinks:
            sink.begin(self._error(_UNDECIDED))
        try:
            yield
        except TmError as error:
            for sink in self.sinks:
                sink.finish(self._error(error))
            raise

    def tell_mistake(self, error: TmError) -> None:
        """Say an error that came before the wait could begin: an older report must not stay."""
        if not self.have_begun:
            with suppress(TmError), self.begun():
                raise error

    @property
    def want_baseline(self) -> bool:
        """Whether any of them shows the baseline run beside ours."""
        return any(sink.wants_baseline for sink in self.sinks)

    def note(self, position: int, event: Event) -> None:
        """Pass an event on."""
        for sink in self.sinks:
            sink.note(position, event)

    def finish(self, evidence: Evidence) -> ExitCode:
        """Tell the outcome everywhere; what is lost turns OK into OUTPUT, for later sinks too."""
        for sink in self.sinks:
            if not sink.finish(evidence) and evidence.exit_code is ExitCode.OK:
                evidence = replace(evidence, exit_code=ExitCode.OUTPUT)
        return evidence.exit_code

    def _error(self, error: TmError) -> Evidence:
        return Evidence((), Gate(), error.exit_code, self.now(), error)
