"""What the requests of a group have in common, and the values in which they differ."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from tm_cli.server.captures import bodies, urls
from tm_cli.server.captures.groups import Group
from tm_cli.server.captures.urls import Kind
from tm_cli.values.load.captures import is_truncated

MOST_BODY_VALUES = 50
"""With more values that vary, a body varies as a whole."""
_LONGEST_VALUE = 100_000
_LONGEST_ROW = 900_000
"""Characters of the values of a request, so that a variables set has room for them."""
_LONGEST_NAME = 60
_MOST_SAMPLES = 5
_RESERVED = {"DURATION", "TIME", "CURRENT_RPS"}
_BUCKETS = ((1, "CONSTANT"), (10, "LOW"), (100, "MEDIUM"))


@dataclass(frozen=True, slots=True)
class Variable:
    """A macro and where its values come from: `source` is path, query or body."""

    name: str
    source: str
    json_path: str | None
    distinct: int
    samples: Sequence[str]

    @property
    def cardinality(self) -> str:
        return next((word for most, word in _BUCKETS if self.distinct <= most), "HIGH")


@dataclass(frozen=True, slots=True)
class Pattern:
    """A request with macros, and `rows` of their values with how often each came.

    `unusable` counts the requests whose values cannot be macros, `cut` those with a cut body.
    """

    url: str
    body: str | None
    variables: Sequence[Variable]
    rows: Counter[tuple[str, ...]]
    unusable: int = 0
    cut: int = 0
    is_body_left_out: bool = False


@dataclass(frozen=True, slots=True)
class _Slot:
    """A place that varies; `read` raises ValueError for a value that cannot be a macro's."""

    at: int
    source: str
    hint: str
    json_path: str | None
    read: Callable[[str], str]
    show: Callable[[str], str]
    is_quoted: bool = False


class _Column:
    """Whether the values at one place differ."""

    __slots__ = ("are_texts", "first", "varies")

    def __init__(self, first: str) -> None:
        self.first = first
        self.varies = False
        self.are_texts = first.startswith('"')

    def add(self, value: str) -> None:
        self.varies = self.varies or value != self.first
        self.are_texts = self.are_texts and value.startswith('"')


def pattern_of(kind: Kind, group: Group) -> Pattern:
    """Find the pattern; it fits all requests of the group but those that it counts."""
    rows = [(*_parted(row), count) for row, count in group.rows.items()]
    cut = sum(count for _, body, count in rows if is_truncated(body))
    is_body_left_out = cut == group.rows.total() > 0
    if is_body_left_out:
        rows = [(target, "", count) for target, _, count in rows]
    elif cut:
        rows = [row for row in rows if not is_truncated(row[1])]
    return _Finder(kind, rows).pattern(cut, is_body_left_out=is_body_left_out)


def _parted(row: bytes) -> tuple[str, str]:
    target, _, body = row.decode().partition("\n")
    return target, body


Row = tuple[str, str, int]


class _Finder:
    def __init__(self, kind: Kind, rows: Sequence[Row]) -> None:
        self._kind = kind
        self._rows = rows
        self._url = _columns(urls.values_of(kind, target) for target, _, _ in rows)
        self._shape, self._body = self._common_body()

    def _common_body(self) -> tuple[bodies.BodyShape | None, list[_Column]]:
        """The shape that all bodies have, with its columns; None without one."""
        shape, columns = None, list[_Column]()
        for _, body, _ in self._rows:
            found = bodies.split(body) if body else None
            if found is None or (shape is not None and found[0] != shape):
                return None, []
            shape = found[0]
            if not columns:
                columns = [_Column(value) for value in found[1]]
            for column, value in zip(columns, found[1], strict=True):
                column.add(value)
        if sum(column.varies for column in columns) > MOST_BODY_VALUES:
            return None, []
        return shape, columns

    def pattern(self, cut: int, *, is_body_left_out: bool) -> Pattern:
        slots = [*self._url_slots(), *self._body_slots()]
        names = _named(slots)
        rows, unusable = self._values(slots)
        return Pattern(
            self._url_with(slots, names),
            self._body_with(slots, names),
            [_variable(slot, names[at], rows, at) for at, slot in enumerate(slots)],
            rows,
            unusable,
            0 if is_body_left_out else cut,
            is_body_left_out,
        )

    def _url_slots(self) -> Iterator[_Slot]:
        hints = urls.hints(self._kind)
        in_path = [at for at, c in enumerate(self._url) if c.varies and self._is_in_path(at)]
        for at, column in enumerate(self._url):
            if not column.varies:
                continue
            read = _reader(self._kind, at)
            source = "path" if self._is_in_path(at) else "query"
            hint = hints[at]
            if source == "path":
                hint = _path_name(hint, column.first, is_only=len(in_path) == 1)
            yield _Slot(at, source, hint or "value", None, read, str)

    def _is_in_path(self, at: int) -> bool:
        return urls.is_in_path(self._kind, at)

    def _body_slots(self) -> Iterator[_Slot]:
        if self._shape is None:
            if self._has_varying_body:
                yield _Slot(0, "body", "body", "$", _usable, str)
            return
        if not any(column.varies for column in self._body):
            return
        paths = self._shape.paths()
        for at, column in enumerate(self._body):
            if column.varies:
                path, key = paths[at]
                is_quoted = self._shape.is_json and column.are_texts
                read = _inner if is_quoted else _usable
                show = _shown_json if self._shape.is_json else str
                yield _Slot(at, "body", key, path or None, read, show, is_quoted)

    @property
    def _has_varying_body(self) -> bool:
        """Whether the body has to be a macro: it differs, or would be read as something else."""
        first = self._rows[0][1] if self._rows else ""
        return bool(re.search(r"\$[${]", first)) or any(body != first for _, body, _ in self._rows)

    def _values(self, slots: Sequence[_Slot]) -> tuple[Counter[tuple[str, ...]], int]:
        """How often each row of values came, and how many requests have no usable ones."""
        found: Counter[tuple[str, ...]] = Counter()
        unusable = 0
        for target, body, count in self._rows:
            in_url = urls.values_of(self._kind, target)
            in_body = self._body_values(body) if any(s.source == "body" for s in slots) else []
            try:
                row = tuple(
                    slot.read((in_body if slot.source == "body" else in_url)[slot.at])
                    for slot in slots
                )
            except ValueError:
                unusable += count
                continue
            if sum(map(len, row)) > _LONGEST_ROW:
                unusable += count
                continue
            found[row] += count
        return found, unusable

    def _body_values(self, body: str) -> list[str]:
        if self._shape is None:
            return [body]
        found = bodies.split(body)
        return found[1] if found else []

    def _url_with(self, slots: Sequence[_Slot], names: Sequence[str]) -> str:
        values = [column.first for column in self._url]
        for slot, name in zip(slots, names, strict=True):
            if slot.source != "body":
                values[slot.at] = f"$${name}$$"
        return urls.filled(self._kind, values)

    def _body_with(self, slots: Sequence[_Slot], names: Sequence[str]) -> str | None:
        of_body = [pair for pair in zip(slots, names, strict=True) if pair[0].source == "body"]
        if self._shape is None:
            if of_body:
                return f"$${of_body[0][1]}$$"
            return (self._rows[0][1] if self._rows else "") or None
        values = [self._shape.constant(column.first) for column in self._body]
        for slot, name in of_body:
            values[slot.at] = f'"$${name}$$"' if slot.is_quoted else f"$${name}$$"
        return self._shape.filled(values)


def _columns(rows: Iterator[list[str]]) -> list[_Column]:
    columns: list[_Column] = []
    for values in rows:
        if not columns:
            columns = [_Column(value) for value in values]
        for column, value in zip(columns, values, strict=True):
            column.add(value)
    return columns


def _reader(kind: Kind, at: int) -> Callable[[str], str]:
    return lambda value: _usable(urls.decoded(kind, at, value))


def _usable(value: str) -> str:
    if "\0" in value or len(value) > _LONGEST_VALUE:
        raise ValueError
    return value


def _inner(value: str) -> str:
    """What is between the quotation marks, as it is written there."""
    return _usable(value[1:-1])


def _shown_json(value: str) -> str:
    try:
        return str(json.loads(f'"{value}"'))
    except ValueError:
        return value


def _variable(slot: _Slot, name: str, rows: Counter[tuple[str, ...]], at: int) -> Variable:
    values = dict.fromkeys(row[at] for row in rows)
    samples = [slot.show(value) for value in list(values)[:_MOST_SAMPLES]]
    return Variable(name, slot.source, slot.json_path, len(values), samples)


def _path_name(above: str, value: str, *, is_only: bool) -> str:
    if urls.is_date(value):
        return "date"
    if not urls.is_id(value):
        return above or "name"
    return "id" if is_only or not above else f"{above}_id"


def _named(slots: Sequence[_Slot]) -> list[str]:
    """A name for each, of which none is taken for another or for a weight."""
    names: list[str] = []
    taken: set[str] = set()
    for slot in slots:
        plain = _plain(slot.hint)
        names.append(_free(plain, f"{slot.source}_{plain}", taken))
        taken.add(names[-1].lower())
    return names


def _plain(hint: str) -> str:
    name = re.sub(r"[^A-Za-z0-9_]+", "_", hint).strip("_")[:_LONGEST_NAME] or "value"
    if name.lower().endswith("weight") or name in _RESERVED or name[0].isdigit():
        return f"value_{name}" if name[0].isdigit() else f"{name}_value"
    return name


def _free(name: str, longer: str, taken: set[str]) -> str:
    if name.lower() not in taken:
        return name
    if longer.lower() not in taken:
        return longer
    number = 2
    while f"{name}_{number}".lower() in taken:
        number += 1
    return f"{name}_{number}"
