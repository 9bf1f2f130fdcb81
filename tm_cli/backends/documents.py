"""Files in JSON or YAML that describe a profile, a run or a job."""

from __future__ import annotations

import json
import re
import stat
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from tm_cli.api import strict_json
from tm_cli.errors import ConfigurationError
from tm_cli.values import documents
from tm_cli.values.documents import InvalidDocument, KeyPath
from tm_cli.values.text import sanitize

T = TypeVar("T")

_CONSTANT = re.compile(r"\b(?:NaN|Infinity)\b")
LARGEST = 8 * 1024 * 1024
"""Bytes of a file; no server takes more than an eighth of it."""


def read_document(
    path: Path,
    kind: str,
    check: Callable[[Any], T],
    *,
    as_text: Collection[tuple[str, ...]] = (),
    hint: str | None = None,
) -> T:
    """Return what `check` makes of the document in a file, whose `kind` is for messages.

    `as_text` are patterns of paths where a value is the characters of the file. Raises
    ConfigurationError, with line and key, when the file cannot be read, when it is neither JSON
    nor YAML or holds what JSON cannot, and for a ValueError of `check`.
    """
    text = _read_text(path)
    try:
        return check(_parse(text, as_text, is_json=path.suffix.lower() == ".json"))
    except ValueError as problem:
        line = _line(problem, text)
        where = f"{path}, line {line}" if line else str(path)
        raise ConfigurationError(f"invalid {kind} {where}: {problem}", hint=hint) from None


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong in a file, and where: line and column from 1, and the key as people write it.

    The column is that of the key, or of the item of a list.
    """

    message: str
    line: int | None = None
    column: int | None = None
    key: str | None = None


def examine_document(
    path: Path,
    check: Callable[[Any], Iterable[ValueError]],
    *,
    as_text: Collection[tuple[str, ...]] = (),
) -> list[Problem]:
    """Return everything that is wrong with the document in a file; `check` yields its problems."""
    try:
        text = _read_text(path)
    except ConfigurationError as problem:
        return [Problem(problem.message.replace(str(path), "the file"))]
    found: list[ValueError] = []
    try:
        document = _parse_whole(text, as_text, found, is_json=path.suffix.lower() == ".json")
        known = {getattr(problem, "path", ()) for problem in found} - {()}
        found += [each for each in check(document) if getattr(each, "path", ()) not in known]
    except ValueError as problem:
        found = [problem]
    return sorted(_placed(found, text), key=lambda each: (each.line or 0, each.column or 0))


def _parse_whole(
    text: str, as_text: Collection[tuple[str, ...]], problems: list[ValueError], *, is_json: bool
) -> Any:
    """Parse, and collect what the document has and JSON lacks; raises ValueError for the rest."""
    try:
        return _parse(text, as_text, is_json=is_json)
    except ValueError:
        further: list[InvalidDocument] = []
        try:
            document = documents.parse_yaml(
                text.replace("\t", " ") if is_json else text, as_text=as_text, problems=further
            )
        except InvalidDocument:
            further.clear()
        if not further:
            raise
        problems += further
        return document


def _placed(problems: Iterable[ValueError], text: str) -> Iterator[Problem]:
    """Give each problem its place."""
    positions = documents.Positions(text.replace("\t", " "))
    for problem in problems:
        path = getattr(problem, "path", ())
        line, column = getattr(problem, "line", None), getattr(problem, "column", None)
        if line is None:
            line, column = positions.find(path) or (_line(problem, text), None)
        yield Problem(str(problem), line, column, documents.format_path(path) or None)


def _read_text(path: Path) -> str:
    try:
        if not stat.S_ISREG(mode := path.stat().st_mode):
            kind = "a directory" if stat.S_ISDIR(mode) else "a device or a pipe, not a file"
            raise ConfigurationError(f"cannot read {path}: it is {kind}")
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except OSError as problem:
        raise ConfigurationError(f"cannot read {path}: {problem.strerror}") from None
    except ValueError:
        raise ConfigurationError(f"cannot read {sanitize(path)}: it is no file name") from None
    if len(data) > LARGEST:
        raise ConfigurationError(f"{path} is longer than {LARGEST // 1024**2} MiB")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        line = data.count(b"\n", 0, problem.start) + 1
        raise ConfigurationError(
            f"{path} is not UTF-8 text, line {line}", hint="save it with the encoding UTF-8"
        ) from None


def _parse(text: str, as_text: Collection[tuple[str, ...]], *, is_json: bool) -> Any:
    """Read JSON as JSON in a YAML file, too: there one text has one meaning."""
    if not is_json and not text.lstrip().startswith(("{", "[")):
        return documents.parse_yaml(text, as_text=as_text)
    try:
        return _parse_json(text, as_text)
    except ValueError as problem:
        if not is_json:
            return documents.parse_yaml(text, as_text=as_text)
        if isinstance(problem, json.JSONDecodeError):
            said = f"invalid JSON: {problem.msg.lower()}"
            raise InvalidDocument(said, line=problem.lineno, column=problem.colno) from None
        raise


def _parse_json(text: str, as_text: Collection[tuple[str, ...]]) -> Any:
    found = strict_json.parse(text)
    _check_size(found)
    if not as_text:
        return found
    return _as_written(found, json.loads(text, parse_int=str, parse_float=str), as_text, ())


def _as_written(
    value: Any, written: Any, as_text: Collection[tuple[str, ...]], path: KeyPath
) -> Any:
    """Put the characters of the file in the place of values that `as_text` is about."""
    match value:
        case dict():
            return {
                key: _as_written(item, inner, as_text, (*path, key))
                for (key, item), inner in zip(value.items(), written.values(), strict=True)
            }
        case list():
            return [
                _as_written(item, inner, as_text, (*path, index))
                for index, (item, inner) in enumerate(zip(value, written, strict=True))
            ]
        case str():
            return value
    is_text = documents.matches(path, as_text) and not (value is None and len(path) == 1)
    return (written if isinstance(written, str) else json.dumps(written)) if is_text else value


def _check_size(document: Any) -> None:
    level, count = [document], 0
    for _ in range(documents.DEEPEST + 1):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        count += len(level)
        if count > documents.MOST_VALUES:
            raise InvalidDocument(f"it has more than {documents.MOST_VALUES} values")
        if not level:
            return
    raise InvalidDocument(f"it is nested too deeply: more than {documents.DEEPEST} levels")


def _line(problem: ValueError, text: str) -> int | None:
    """The line of a problem; the reader of YAML knows it where the one of JSON does not say."""
    text = text.replace("\t", " ")  # JSON may be indented with what YAML refuses
    if isinstance(problem, InvalidDocument):
        place = problem.line or documents.Positions(text).find(problem.path)
        return place[0] if isinstance(place, tuple) else place
    try:
        documents.parse_yaml(text)
    except InvalidDocument as found:
        return _line(found, text)
    constant = _CONSTANT.search(text)
    return text.count("\n", 0, constant.start()) + 1 if constant else None
