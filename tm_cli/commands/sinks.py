"""Where a gate is told beside the terminal: files, and the platform that it runs on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
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
    """All places where one call reports; `now` is the wall clock."""

    sinks: tuple[Sink, ...] = ()
    now: Callable[[], datetime] = _now
    _has_begun: bool = field(default=False, init=False)
    _is_open: bool = field(default=False, init=False)

    def begin(self) -> None:
        """Report everywhere that nothing is decided.

        Raises UsageError, before anything is sent, when a file cannot be written.
        """
        self._has_begun = True
        for sink in self.sinks:
            sink.begin(self._error(_UNDECIDED))
        self._is_open = True

    @contextmanager
    def covering(self) -> Iterator[Reports]:
        """Report an error that ends the call, also one before the wait began.

        An older report must not stay where a call has ended in an error.
        """
        try:
            yield self
        except TmError as error:
            if not self._has_begun:
                with suppress(TmError):
                    self.begin()
            if self._is_open:
                for sink in self.sinks:
                    sink.finish(self._error(error))
            raise

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
