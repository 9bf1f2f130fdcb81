"""Locustfiles: how profile documents name one, and what a start says about it.

A server gets the name of the file and its SHA-256; the file stays on the machine that plays it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from tm_cli.errors import ConfigurationError, UsageError
from tm_cli.runtime.locustfile import (
    SUFFIX,
    UnusableLocustfile,
    check_variable,
    declarations,
    hash_of,
    read_locustfile,
)
from tm_cli.values.documents import InvalidDocument, format_path
from tm_cli.values.durations import parse_duration
from tm_cli.values.text import as_number, did_you_mean, sanitize

KEY = "locustfile"
_KEYS = ("file", "class", "tags", "env", "timeout", "sha256")
LONGEST_TIMEOUT = 3600.0
_OF_REQUESTS = (
    "requestPayload",
    "requestHeaders",
    "responseScript",
    "steps",
    "checks",
    "cookies",
    "followRedirects",
    "data",
    "tokenCommand",
    "clientCertificate",
    "httpVersion",
)
"""Keys about requests, which a locustfile sends in its own way."""


def names_locustfile(text: str) -> bool:
    """Whether a PROFILE argument means a locustfile."""
    return Path(text).suffix.lower() == SUFFIX and "://" not in text


def profile_name(text: str) -> str:
    """Return the name of the profile of a locustfile that has no document."""
    path = PurePosixPath(os.path.normpath(text).replace("\\", "/"))
    is_inside = not (path.is_absolute() or ".." in path.parts or ":" in path.parts[0])
    return str(path if is_inside else path.name)[-120:]


def read_reference(value: Any) -> dict[str, Any]:
    """Return the value of `locustfile` in the portable form: a mapping with lists of names."""
    given = {"file": value} if isinstance(value, str) else value
    if not isinstance(given, Mapping):
        raise InvalidDocument("is not a path, or a mapping with the key file")
    for key in given:
        if key not in _KEYS:
            hint = did_you_mean(str(key), _KEYS, f"the keys are {', '.join(_KEYS[:-1])}")
            raise InvalidDocument(f"unknown key {sanitize(key, longest=60)!r}; {hint}", (key,))
    file = given.get("file")
    if not isinstance(file, str) or not names_locustfile(file) or not file.isprintable():
        raise InvalidDocument("is not the path of a Python file, such as shop.py", _path(value))
    found: dict[str, Any] = {"file": file}
    if (sha256 := given.get("sha256")) is not None:
        found["sha256"] = sha256
    if (timeout := given.get("timeout")) is not None:
        found["timeout"] = _seconds(timeout)
    for key in ("class", "tags", "env"):
        if names := _names(given.get(key), key):
            found[key] = names
    return found


def _path(value: Any) -> tuple[str, ...]:
    return () if isinstance(value, str) else ("file",)


def _seconds(value: Any) -> float:
    try:
        seconds = as_number(parse_duration(value) if isinstance(value, str) else value)
    except ValueError as problem:
        raise InvalidDocument(str(problem), ("timeout",)) from None
    if seconds is None or not 0 < seconds <= LONGEST_TIMEOUT:
        raise InvalidDocument("is not a duration of at most an hour, such as 60s", ("timeout",))
    return float(seconds)


def _names(value: Any, key: str) -> list[str]:
    names = [value] if isinstance(value, str) else value or []
    if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
        raise InvalidDocument("is not a name, or a list of names", (key,))
    for index, name in enumerate(names if key == "env" else ()):
        try:
            check_variable(name)
        except ValueError as problem:
            raise InvalidDocument(str(problem), (key, index)) from None
    return list(names)


def complete(document: Any, directory: Path) -> Any:
    """Return a document with what its locustfile says: its SHA-256, and its host as the target.

    Raises InvalidDocument when the file cannot be read, is not the one of the document, or names no
    target where the document has none. The rest of the document is not checked here.
    """
    if not isinstance(document, Mapping) or document.get(KEY) is None:
        return document
    try:
        reference = read_reference(document[KEY])
    except InvalidDocument as problem:
        place = (KEY, *problem.path)
        raise InvalidDocument(f"{format_path(place)} {problem}", place) from None
    for key in _OF_REQUESTS:
        if document.get(key):
            effect = "has no effect with a locustfile, which sends its own requests"
            raise InvalidDocument(f"{key} {effect}", (key,))
    try:
        source = read_locustfile(directory / reference["file"], reference.get("sha256"))
        hosts = declarations(source, reference["file"]).hosts
    except UnusableLocustfile as problem:
        raise InvalidDocument(str(problem), (KEY,)) from None
    found = {**document, KEY: {**reference, "sha256": hash_of(source)}}
    if not any(document.get(key) for key in ("endpointUrl", "targetUrl")):
        if len(hosts) != 1:
            lack = f"endpointUrl missing, and {reference['file']} names {_listed(hosts)}"
            raise InvalidDocument(lack, (KEY,))
        found["endpointUrl"] = hosts[0]
    return found


def _listed(hosts: Sequence[str]) -> str:
    return f"several hosts ({', '.join(map(sanitize, hosts))})" if hosts else "no host"


def load_of(text: str, cwd: Path, *, rate: float, seconds: int, host: str | None) -> dict[str, Any]:
    """Return a document that plays a locustfile at a constant rate of visitors.

    Raises ConfigurationError when the file cannot be used, and UsageError when it names no host.
    """
    try:
        source = read_locustfile(cwd / text)
        hosts = declarations(source, text).hosts
    except UnusableLocustfile as problem:
        raise ConfigurationError(str(problem)) from None
    if host is None and len(hosts) != 1:
        question = f"{text} names {_listed(hosts)}: which target?"
        raise UsageError(question, hint="--host URL names it")
    return {
        "name": profile_name(text),
        "endpointUrl": host or hosts[0],
        "duration": seconds,
        "interpolationMode": "LINEAR",
        "points": [[0, rate], [seconds, rate]],
        KEY: {"file": Path(text).as_posix(), "sha256": hash_of(source)},
    }


def replaced_by_curve(path: Path) -> tuple[str, ...]:
    """Return what in the file says how many users come, which the curve of the profile says."""
    return declarations(read_locustfile(path), path.name).ignored


def start_terms(
    reference: Mapping[str, Any], path: Path, cwd: Path, environ: Mapping[str, str]
) -> dict[str, Any]:
    """Return what a start tells a server on this machine; it keeps none of it.

    Raises ConfigurationError when a variable is not set.
    """
    names = reference.get("env") or []
    if missing := [name for name in names if name not in environ]:
        verb = "is" if len(missing) == 1 else "are"
        raise ConfigurationError(
            f"{', '.join(map(sanitize, missing))} {verb} not set, and {path.name} reads "
            f"{'it' if len(missing) == 1 else 'them'}; nothing was started",
            hint="set the variable, or take its name out of `env` of the locustfile",
        )
    variables = {name: environ[name] for name in names}
    return {"path": str(path), "directory": str(cwd), "variables": variables}
