"""What a gate came to: the one thing that every report, document and replay is made from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from tm_cli.errors import TmError
from tm_cli.exit_codes import ExitCode
from tm_cli.gate.events import Decided
from tm_cli.gate.policy import Gate, from_error, worst


@dataclass(frozen=True, slots=True)
class Record:
    """One subject and how its gate ended; `ending` is None while that is not known.

    `system` names the API behind which the run lives, `subject_id` is what that API calls the
    subject, and `status` is the last one that was seen, as the server wrote it.
    """

    system: str
    subject: str
    subject_id: int | str | None = None
    status: str | None = None
    ending: Decided | None = None

    @property
    def end(self) -> Decided:
        """How the gate ended; only for records of gates that have."""
        if self.ending is None:
            raise AssertionError("a gate ends with a decision")
        return self.ending


@dataclass(frozen=True, slots=True)
class Evidence:
    """All subjects of one call, the gate they were held against and the exit code of the whole.

    `error` is what ended the call before its gates had ended. `made_at` is the wall clock.
    """

    records: tuple[Record, ...]
    gate: Gate
    exit_code: ExitCode
    made_at: datetime
    error: TmError | None = None

    @property
    def told(self) -> tuple[Record, ...]:
        """The records; of a call that ended before its gates did, the error as if it were one."""
        if self.error is None:
            return self.records
        ending = Decided(from_error(self.error, self.gate), None, None)
        return (Record("tm", "tm", ending=ending),)


def exit_code_of(records: Sequence[Record]) -> ExitCode:
    """Return the exit code of the worst.

    Runs that were given up do not count beside the failure for which they were, and only there.
    """
    endings = [record.end for record in records]
    counted = [ending for ending in endings if not ending.abandoned]
    if not any(ending.decision.is_gated for ending in counted):
        counted = endings
    return worst(ending.decision.exit_code for ending in counted)
