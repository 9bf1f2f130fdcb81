"""What a check of a set-up has found. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self


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


def table(value: Any) -> Mapping[str, Any]:
    """Return a table, an empty one for anything else."""
    return value if isinstance(value, Mapping) else {}


def tables(value: Any) -> dict[str, Mapping[str, Any]]:
    """Return the tables in a table by their names."""
    return {str(key): item for key, item in table(value).items() if isinstance(item, Mapping)}


def texts(value: Any) -> dict[str, str]:
    """Return variables as texts; GitLab's may be tables with a `value`."""
    found = {}
    for name, item in table(value).items():
        plain = item.get("value") if isinstance(item, Mapping) else item
        found[str(name)] = str(plain).lower() if isinstance(plain, bool) else str(plain)
    return found


def lines(script: Any) -> Iterator[str]:
    """Return the texts of a list, however deep they are, or of one text."""
    if isinstance(script, str):
        yield script
    elif isinstance(script, list):
        for item in script:
            yield from lines(item)
