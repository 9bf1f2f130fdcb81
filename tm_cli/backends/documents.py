"""Files in JSON or YAML that describe a profile, a run or a job."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection
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


def _read_text(path: Path) -> str:
    try:
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
            raise InvalidDocument(said, line=problem.lineno) from None
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
        return problem.line or documents.line_of(text, problem.path)
    try:
        documents.parse_yaml(text)
    except InvalidDocument as found:
        return _line(found, text)
    constant = _CONSTANT.search(text)
    return text.count("\n", 0, constant.start()) + 1 if constant else None
