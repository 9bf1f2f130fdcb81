"""What a profile document names on this machine: files with data, a certificate, a command."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tm_cli.values.documents import InvalidDocument
from tm_cli.values.load.data_sets import (
    LONGEST_CSV,
    MODES,
    MOST_DATA_SETS,
    DataSet,
    InvalidData,
    decode_csv,
    read_data_set,
    repeated_column,
    size_of,
)
from tm_cli.values.load.placeholders import has_any
from tm_cli.values.text import did_you_mean, sanitize

LOCAL_KEYS = ("tokenCommand", "tokenRefresh", "metrics")
"""What only the machine of the command uses: no server gets or stores it."""


def uploaded(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of a document that a server gets."""
    return {key: value for key, value in document.items() if key not in LOCAL_KEYS}


def read_command(value: Any, directory: Path | None) -> dict[str, Any]:
    """Return a command and the directory in which it runs, that of the document.

    A document that is in no file is a server's, and no command of a server is run. Raises
    InvalidDocument.
    """
    if directory is None:
        raise InvalidDocument("can be in a file of yours only: no command of a server is run")
    words = value if isinstance(value, list) else [value]
    if not words or not all(isinstance(word, str) and word.strip() for word in words):
        raise InvalidDocument("is not a command, such as ./token.sh or [./token.sh, --fast]")
    if any("\0" in word for word in words):
        raise InvalidDocument("has a NUL character")
    return {"command": value, "directory": str(directory.absolute())}


_CERTIFICATE_KEYS = ("cert", "key", "password")


def read_certificate(value: Any, directory: Path | None) -> dict[str, str]:
    """Return a client certificate with absolute paths; relative ones are from `directory`."""
    value = {"cert": value} if isinstance(value, str) else value
    if not isinstance(value, Mapping):
        raise InvalidDocument("is not {cert: client.pem, key: client-key.pem}")
    for key, text in value.items():
        if key not in _CERTIFICATE_KEYS:
            hint = did_you_mean(str(key), _CERTIFICATE_KEYS, "expected cert and key")
            raise InvalidDocument(f"has an unknown key {sanitize(key)!r}; {hint}", (key,))
        if text is not None and (not isinstance(text, str) or not text.strip()):
            raise InvalidDocument("is not text", (key,))
    if not value.get("cert"):
        raise InvalidDocument("has no `cert`")
    if (password := value.get("password")) and not has_any(password):
        raise InvalidDocument("is not a placeholder, such as ${KEY_PASSWORD}", ("password",))
    files = {key: _absolute(value[key], directory) for key in ("cert", "key") if value.get(key)}
    return files | ({"password": password} if password else {})


def _absolute(file: str, directory: Path | None) -> str:
    if directory is None or file.startswith("${"):
        return file
    return str((directory / file).absolute())


_KEYS = ("file", "mode", "name", "csv")


def read_data(value: Any, directory: Path | None) -> list[dict[str, Any]]:
    """Return data sets in the form of the API, `[{name, mode, csv}]`.

    `value` is a file, or a list of files and of mappings; files are relative to `directory`.
    Raises InvalidDocument.
    """
    items = value if isinstance(value, list) else [value]
    if len(items) > MOST_DATA_SETS:
        raise InvalidDocument(f"has more than {MOST_DATA_SETS} data sets")
    sources = [_source(index, item, directory) for index, item in enumerate(items)]
    if size_of([source["csv"] for source in sources]) > LONGEST_CSV:
        raise InvalidDocument(f"is longer than {LONGEST_CSV:,} bytes in total")
    found = [_checked(index, source) for index, source in enumerate(sources)]
    if column := repeated_column(found):
        raise InvalidDocument(f"has the column {sanitize(column)} twice; a macro has one value")
    return sources


def _source(index: int, item: Any, directory: Path | None) -> dict[str, Any]:
    if isinstance(item, str):
        item = {"file": item}
    if not isinstance(item, Mapping):
        raise InvalidDocument("is not a file such as users.csv, or {file: users.csv}", (index,))
    for key in item:
        if key not in _KEYS:
            hint = did_you_mean(str(key), _KEYS, "expected file and mode")
            raise InvalidDocument(f"has an unknown key {sanitize(key)!r}; {hint}", (index,))
    mode = item.get("mode")
    if mode is not None and str(mode).upper() not in MODES:
        raise InvalidDocument(f"is none of {', '.join(MODES)}", (index, "mode"))
    source = dict(_named(index, item, directory))
    if mode is not None:
        source["mode"] = str(mode).upper()
    return source


def _checked(index: int, source: dict[str, Any]) -> DataSet:
    try:
        return read_data_set(source["name"], source["csv"], source.get("mode"))
    except InvalidData as problem:
        raise InvalidDocument(f"{sanitize(source['name'])}: {problem}", (index,)) from None


def _named(
    index: int, item: Mapping[Any, Any], directory: Path | None
) -> Iterator[tuple[str, Any]]:
    """Its name and its text, which is in the document or in a file."""
    file, text = item.get("file"), item.get("csv")
    if isinstance(text, str) and file is None:
        yield "name", str(item.get("name") or f"data set {index + 1}")
        yield "csv", text
        return
    if not isinstance(file, str) or not file.strip() or text is not None:
        raise InvalidDocument("names no file", (index,))
    if directory is None:
        raise InvalidDocument("names a file, and is in none itself", (index,))
    yield "name", str(item.get("name") or Path(file).name)
    yield "csv", _read_file(index, directory / file, file)


def _read_file(index: int, path: Path, shown: str) -> str:
    shown = sanitize(shown, longest=120)
    try:
        if not path.is_file():
            raise InvalidDocument(f"{shown} is not a file, relative to the document", (index,))
        with path.open("rb") as file:
            data = file.read(LONGEST_CSV + 1)
    except (OSError, ValueError) as problem:
        if isinstance(problem, InvalidDocument):
            raise
        reason = getattr(problem, "strerror", None) or "it is no file name"
        raise InvalidDocument(f"{shown} cannot be read: {reason}", (index,)) from None
    try:
        return decode_csv(data)
    except InvalidData as problem:
        raise InvalidDocument(f"{shown} {problem}", (index,)) from None
