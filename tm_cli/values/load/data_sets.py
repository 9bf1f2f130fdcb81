"""Data sets: rows of values for the macros of requests, read from CSV text as RFC 4180 has it."""

from __future__ import annotations

import csv
import io
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from tm_cli.values.text import sanitize

Mode = Literal["ROW", "COLUMN", "SEQUENTIAL"]
"""ROW draws one row for all columns, COLUMN each column on its own; SEQUENTIAL takes the rows in
their order, and begins again after the last one."""

MODES: tuple[Mode, ...] = ("ROW", "COLUMN", "SEQUENTIAL")
LONGEST_CSV = 4_000_000
"""Bytes of all data sets of a profile."""
MOST_ROWS = 100_000
MOST_COLUMNS = 200
MOST_DATA_SETS = 50
_LONGEST_VALUE = 100_000

_COLUMN = re.compile(r"[^\s${}/?#=]+")
_NUMBER = re.compile(r"\d{1,15}(\.\d{1,15})?|\.\d{1,15}")
_WEIGHT = "weight"


class InvalidData(ValueError):
    """CSV text that cannot be used; the message names line and column."""


@dataclass(frozen=True, slots=True)
class DataSet:
    """Rows under the names of their columns; without `weights` all rows are equally likely.

    `weights` has a number for each row, by column; those of ROW are the same for all columns.
    `weight_column` is the column with the shared ones, which SEQUENTIAL does not use.
    """

    name: str
    mode: Mode
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    weights: Mapping[str, tuple[float, ...]]
    weight_column: str | None = None


def read_data_set(name: str, text: str, mode: Mode | None = None) -> DataSet:
    """Read CSV text; without a mode it is ROW if there is a column `weight`, else SEQUENTIAL.

    Raises InvalidData.
    """
    records = _records(text.removeprefix("\ufeff"))
    _, header = next(records, (1, []))
    columns = _check_header(header)
    lowered = [column.lower() for column in columns]
    mode = mode or ("ROW" if _WEIGHT in lowered else "SEQUENTIAL")
    if mode == "ROW" and _WEIGHT not in lowered:
        raise InvalidData("mode ROW needs a column `weight`")
    rows = _rows(records, columns)
    found = {column: _weights(index, rows, column) for index, column in _weighted(columns, mode)}
    macros = [index for index, column in enumerate(columns) if column not in found]
    if not macros:
        raise InvalidData("it has weights alone, and no values")
    return DataSet(
        name=name,
        mode=mode,
        columns=tuple(columns[index] for index in macros),
        rows=tuple(tuple(row[index] for index in macros) for _, row in rows),
        weights=_by_column([columns[index] for index in macros], found),
        weight_column=next((column for column in columns if column.lower() == _WEIGHT), None),
    )


def decode_csv(data: bytes) -> str:
    """Return the text of a file; raises InvalidData, whose message says what is wrong with it."""
    if len(data) > LONGEST_CSV:
        raise InvalidData(f"is longer than {LONGEST_CSV:,} bytes")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        line = data.count(b"\n", 0, problem.start) + 1
        raise InvalidData(
            f"is not UTF-8 text, line {line}; save it with the encoding UTF-8"
        ) from None


def size_of(texts: Iterable[str]) -> int:
    """Bytes of texts in UTF-8."""
    return sum(len(text.encode("utf-8", "surrogatepass")) for text in texts)


def repeated_column(data_sets: Iterable[DataSet]) -> str | None:
    """A column that two data sets have, so that its macro would be ambiguous."""
    counts = Counter(column for each in data_sets for column in each.columns)
    return next((column for column, count in counts.items() if count > 1), None)


def _records(text: str) -> Iterator[tuple[int, list[str]]]:
    """The records that are not blank, each with the line in which it begins."""
    if size_of([text]) > LONGEST_CSV:
        raise InvalidData(f"it is longer than {LONGEST_CSV:,} bytes")
    if (at := text.find("\0")) >= 0:
        line = text.count("\n", 0, at) + 1
        raise InvalidData(f"line {line} has a NUL character; save it as text in UTF-8")
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    while True:
        line = reader.line_num + 1
        try:
            record = next(reader, None)
        except csv.Error as problem:
            raise InvalidData(f"line {line}: {_explained(str(problem))}") from None
        if record is None:
            return
        if record:
            yield line, record


def _explained(problem: str) -> str:
    if "unexpected end of data" in problem:
        return "a quotation mark is never closed"
    if "expected after" in problem:
        return "text follows a closing quotation mark; write a quotation mark in a value twice"
    if "field larger" in problem:
        return f"a value is longer than {_LONGEST_VALUE:,} characters"
    return sanitize(problem)


def _check_header(header: list[str]) -> list[str]:
    columns = [name.strip() for name in header]
    if not any(columns):
        raise InvalidData("it is empty; the first line has the names of the columns")
    if len(columns) > MOST_COLUMNS:
        raise InvalidData(f"line 1 has more than {MOST_COLUMNS} columns")
    if len(columns) == 1 and re.search(r"[;\t|]", columns[0]):
        raise InvalidData("line 1: columns are separated by commas")
    for number, column in enumerate(columns, start=1):
        shown = repr(sanitize(column, longest=60))
        if not column:
            raise InvalidData(f"line 1: column {number} has no name")
        if not _COLUMN.fullmatch(column):
            problem = "the name of a macro has no spaces, and none of $ { } / ? # ="
            raise InvalidData(f"line 1: column {number}, {shown}: {problem}")
        if column in columns[: number - 1]:
            raise InvalidData(f"line 1: there are two columns {shown}")
    return columns


def _rows(records: Iterator[tuple[int, list[str]]], columns: list[str]) -> list[Numbered]:
    rows = []
    for line, record in records:
        if len(record) != len(columns):
            values = "1 value" if len(record) == 1 else f"{len(record)} values"
            raise InvalidData(f"line {line} has {values}; line 1 names {len(columns)} columns")
        if too_long := [n for n, value in enumerate(record) if len(value) > _LONGEST_VALUE]:
            problem = f"is longer than {_LONGEST_VALUE:,} characters"
            raise InvalidData(f"line {line}, column {columns[too_long[0]]}: {problem}")
        rows.append((line, record))
        if len(rows) > MOST_ROWS:
            raise InvalidData(f"it has more than {MOST_ROWS:,} rows")
    if not rows:
        raise InvalidData("it has no row below the names of the columns")
    return rows


Numbered = tuple[int, list[str]]
"""A row, and the line in which it begins."""


def _weighted(columns: list[str], mode: Mode) -> Iterator[tuple[int, str]]:
    """The columns that hold weights in this mode."""
    lowered = [column.lower() for column in columns]
    for index, (column, low) in enumerate(zip(columns, lowered, strict=True)):
        owner = low.removesuffix(f"_{_WEIGHT}")
        is_shared = low == _WEIGHT and mode != "SEQUENTIAL"
        is_own = mode == "COLUMN" and owner != low and owner in lowered
        if is_shared or is_own:
            yield index, column


def _weights(index: int, rows: list[Numbered], column: str) -> tuple[float, ...]:
    return tuple(_weight(row[index], line, column) for line, row in rows)


def _weight(text: str, line: int, column: str) -> float:
    number = float(text) if _NUMBER.fullmatch(text.strip()) else math.nan
    if not number > 0:
        shown = repr(sanitize(text, longest=40)) if text else "empty"
        raise InvalidData(f"line {line}, column {column}: {shown}; a weight is a positive number")
    return number


def _by_column(
    columns: list[str], found: Mapping[str, tuple[float, ...]]
) -> dict[str, tuple[float, ...]]:
    by_name = {name.lower(): weights for name, weights in found.items()}
    chosen = {
        name: by_name.get(f"{name.lower()}_{_WEIGHT}", by_name.get(_WEIGHT)) for name in columns
    }
    return {name: weights for name, weights in chosen.items() if weights}
