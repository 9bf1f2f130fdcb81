"""What an arrival of the curve did where that is more than one request, and its counts by step."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tm_cli.server.validation import HIGHEST_US, lowest_equivalent, new_histogram
from tm_cli.values.load.step_names import step_name

MOST_ERRORS = 100
"""So many names of errors are counted apart in a run; all others count as `OTHER_ERRORS`."""
OTHER_ERRORS = "OtherErrors"
_LONGEST = HIGHEST_US / 1e6  # seconds


@dataclass(frozen=True, slots=True)
class StepResult:
    """One step: its name in reports, the seconds from sending to the last byte of its answer, and
    its status, or the name of its error or failed check.
    """

    name: str
    seconds: float
    result: int | str


@dataclass(frozen=True, slots=True)
class Played:
    """What one arrival did.

    `result` is that of the whole: a status, or its first error as "STEP: ERROR". The seconds of
    `thinking` are not part of its response time and service time.
    """

    result: int | str
    thinking: float = 0.0
    steps: Sequence[StepResult] = ()


class Names:
    """Bounds how many different names there are, and how long they are.

    A locustfile may make a name out of every order's number.
    """

    def __init__(self, most: int, rest: str) -> None:
        self._most = most
        self._rest = rest
        self._known: dict[str, str] = {}

    def bounded(self, name: str) -> str:
        """The name to count under; `rest` once there are too many."""
        if (known := self._known.get(name)) is not None:
            return known
        if len(self._known) >= self._most:
            return self._rest
        self._known[name] = step_name(name)
        return self._known[name]


class StepCounts:
    """The counts of one step in one bucket.

    A histogram has room for every response time that there may be; fifty steps in some buckets
    would need a hundred megabytes. So these are counts by response time.
    """

    __slots__ = ("codes", "failures", "has_changed", "times")

    def __init__(self) -> None:
        self.codes: Counter[int] = Counter()
        self.failures: Counter[str] = Counter()
        self.times: Counter[int] = Counter()
        self.has_changed = False

    def count(self, seconds: float, result: int | str) -> None:
        self.times[lowest_equivalent(microseconds(seconds))] += 1
        if isinstance(result, int):
            self.codes[result] += 1
        else:
            self.failures[result] += 1
        self.has_changed = True

    def document(self) -> dict[str, Any]:
        """The counts as they are reported."""
        self.has_changed = False
        response = new_histogram()
        for time, count in self.times.items():
            response.record_value(time, count)
        return {
            "completed": self.times.total(),
            "codes": {str(code): count for code, count in sorted(self.codes.items())},
            "failures": dict(sorted(self.failures.items())),
            "response": str(response.encode().decode()),
        }


def microseconds(seconds: float) -> int:
    """What a histogram can record; what is no time counts as the longest, not as the shortest."""
    return max(round(seconds * 1e6), 1) if -1 < seconds <= _LONGEST else HIGHEST_US
