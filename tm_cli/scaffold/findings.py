"""What a check of a set-up has found. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Self


class Status(StrEnum):
    """TODO is what no file can show, such as a secret of the platform."""

    OK = "ok"
    TODO = "to do"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Remark:
    """What is wrong with a gate, whose place is told by whoever found it."""

    message: str
    status: Status = Status.PROBLEM

    def at(self, place: str) -> Finding:
        """Return the finding for a place."""
        return Finding(self.status, place, self.message)


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: how it is, what was looked at, what was found."""

    status: Status
    what: str
    message: str

    @classmethod
    def ok(cls, what: str, message: str) -> Self:
        """It can work."""
        return cls(Status.OK, what, message)

    @classmethod
    def todo(cls, what: str, message: str) -> Self:
        """It has to be done where no file shows it."""
        return cls(Status.TODO, what, message)

    @classmethod
    def problem(cls, what: str, message: str) -> Self:
        """It cannot work, or not as it should."""
        return cls(Status.PROBLEM, what, message)

    @property
    def data(self) -> dict[str, str]:
        """The JSON form."""
        return {"status": self.status.value, "what": self.what, "message": self.message}
