"""Captured requests by kind, read in one pass."""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from tm_cli.server.captures.curve import Arrivals
from tm_cli.server.captures.urls import Kind, kind_of, widened
from tm_cli.values.load.captures import (
    CapturedRequest,
    InvalidLine,
    UnusableCapture,
    numbered_lines,
    read_request,
)

MOST_ROWS = 50_000
"""So many different requests of a kind are kept; of more, only when they came."""
MOST_GROUPS = 2_000
_FIRST_LOOK = 2_000
"""So many kinds are found before words in paths are looked at."""
_MOST_VALUES = 100
_MOST_HEADERS = 200


@dataclass(slots=True)
class HeaderValues:
    """The values of a header, and how many requests had it; the first so many are kept."""

    name: str
    count: int = 0
    values: Counter[str] = field(default_factory=Counter)

    def add(self, value: str, count: int) -> None:
        self.count += count
        if value in self.values or len(self.values) < _MOST_VALUES:
            self.values[value] += count


@dataclass(slots=True)
class Group:
    """The requests of a kind: `rows` counts each target and body, `times` are those of all.

    `headers` are the first so many.
    """

    rows: Counter[bytes] = field(default_factory=Counter)
    times: array[float] = field(default_factory=lambda: array("d"))
    headers: dict[str, HeaderValues] = field(default_factory=dict)
    has_user: bool = False

    def add(self, target: str, request: CapturedRequest) -> None:
        self.times.append(request.at)
        self._count(f"{target}\n{request.body or ''}".encode(), 1)
        for name, value in request.headers.items():
            self._count_header(name, value, 1)
        self.has_user |= "@" in request.url.partition("://")[2].partition("/")[0]

    def add_all(self, other: Group) -> None:
        self.times.extend(other.times)
        for row, count in other.rows.items():
            self._count(row, count)
        for header in other.headers.values():
            for value, count in header.values.items():
                self._count_header(header.name, value, count)
        self.has_user |= other.has_user

    def _count(self, row: bytes, count: int) -> None:
        if row in self.rows or len(self.rows) < MOST_ROWS:
            self.rows[row] += count

    def _count_header(self, name: str, value: str, count: int) -> None:
        lowered = name.lower()
        if lowered not in self.headers and len(self.headers) < _MOST_HEADERS:
            self.headers[lowered] = HeaderValues(name)
        if lowered in self.headers:
            self.headers[lowered].add(value, count)

    @property
    def lost(self) -> int:
        """Requests that are counted in the curve alone."""
        return len(self.times) - self.rows.total()

    @property
    def arrivals(self) -> Arrivals:
        return Arrivals(sorted(self.times))


@dataclass
class Capture:
    """All requests of a file, and what could not be read."""

    groups: Mapping[Kind, Group]
    errors: int = 0
    first_error: tuple[int, str] | None = None
    """Line and message."""

    @cached_property
    def total(self) -> int:
        return sum(len(group.times) for group in self.groups.values())

    @cached_property
    def origin(self) -> float:
        return min(min(group.times) for group in self.groups.values())

    @cached_property
    def span(self) -> float:
        return max(max(group.times) for group in self.groups.values()) - self.origin


def read_capture(pieces: Iterable[bytes]) -> Capture:
    """Read the pieces of a file; raises UnusableCapture."""
    reading = _Reading()
    for number, line in numbered_lines(pieces):
        try:
            reading.add(read_request(line))
        except InvalidLine as problem:
            reading.fail(number, str(problem))
    return reading.result()


class _Reading:
    def __init__(self) -> None:
        self._groups: defaultdict[Kind, Group] = defaultdict(Group)
        self._look_at = _FIRST_LOOK
        self._errors = 0
        self._first_error: tuple[int, str] | None = None

    def add(self, request: CapturedRequest) -> None:
        kind, target = kind_of(request.method, request.url)
        self._groups[kind].add(target, request)
        if len(self._groups) > self._look_at:
            self._widen()

    def fail(self, line: int, message: str) -> None:
        self._errors += 1
        self._first_error = self._first_error or (line, message)

    def result(self) -> Capture:
        if not self._groups:
            if self._first_error is None:
                raise UnusableCapture("it is empty")
            line, message = self._first_error
            raise UnusableCapture(f"no line of it is a request; line {line}: {message}")
        self._widen()
        by_count = sorted(self._groups.items(), key=lambda item: -len(item[1].times))
        return Capture(dict(by_count), self._errors, self._first_error)

    def _widen(self) -> None:
        wider: defaultdict[Kind, Group] = defaultdict(Group)
        for before, after in widened(self._groups).items():
            if before == after and after not in wider:
                wider[after] = self._groups[before]
            else:
                wider[after].add_all(self._groups[before])
        self._groups = wider
        if len(self._groups) > MOST_GROUPS:
            raise UnusableCapture(
                f"it has more than {MOST_GROUPS:,} kinds of requests: names, not only values, "
                "differ in their URLs"
            )
        self._look_at = max(self._look_at, 2 * len(self._groups))
