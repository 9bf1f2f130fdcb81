"""Profile documents: files in a repository that describe a load test.

They hold the portable form of the API (section 7 of its contract) in JSON or YAML. What is easier
to write in a file is accepted too: `duration: 1m`, headers as a mapping, points as pairs, a JSON
body as a document, limits such as `10%`, and the API's own names `targetUrl` and `requestBody`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from tm_cli.backends import documents
from tm_cli.backends.trafficmorph import locustfiles
from tm_cli.backends.trafficmorph.document_files import (
    LOCAL_KEYS,
    read_certificate,
    read_command,
    read_data,
)
from tm_cli.backends.trafficmorph.profile_rules import OF_JOURNEYS, contradictions
from tm_cli.backends.trafficmorph.profile_values import FORMAT, READERS
from tm_cli.values.document_problems import all_problems
from tm_cli.values.documents import EACH, InvalidDocument, format_path, shown
from tm_cli.values.load.journeys.steps import AS_TEXT as TEXTS_OF_STEPS
from tm_cli.values.load.placeholders import placeholders
from tm_cli.values.text import did_you_mean, sanitize
from tm_cli.values.thresholds import InvalidThreshold

SUFFIXES = frozenset({".json", ".yaml", ".yml"})

REQUIRED = ("name", "duration", "endpointUrl", "points")
OPTIONAL = (
    "_format",
    "requestPayload",
    "loop",
    "httpMethod",
    "requestHeaders",
    "interpolationMode",
    "responseScript",
    "callbackUrl",
    "readinessUrl",
    "autoAlertEnabled",
    "autoAlertMinSeverity",
    "autoAlertCooldownMinutes",
    "autoAlertRecipients",
    "schedule",
    "gate",
    "waitForTarget",
    "warmup",
    "stopEarly",
    *OF_JOURNEYS,
    "data",
    "clientCertificate",
    "httpVersion",
    locustfiles.KEY,
    *LOCAL_KEYS,
)
ALIASES = {"targetUrl": "endpointUrl", "requestBody": "requestPayload"}

AS_TEXT = (
    ("requestPayload",),
    ("requestBody",),
    ("requestHeaders", EACH),
    ("requestHeaders", EACH, EACH),
    *TEXTS_OF_STEPS,
)
"""Where a value is what the file has, letter by letter: a header `0123` is not a number."""

_INSTEAD = {
    "rate": "the load is a curve, such as points: [[0, 50], [60, 50]]",
    "rps": "the load is a curve, such as points: [[0, 50], [60, 50]]",
    "url": "did you mean endpointUrl?",
    "method": "did you mean httpMethod?",
    "headers": "did you mean requestHeaders?",
    "body": "did you mean requestBody?",
}
"""What others call these things."""


def names_document(text: str) -> bool:
    """Whether a PROFILE argument means a document: by its suffix or by a path separator."""
    if locustfiles.names_locustfile(text):
        return False
    return Path(text).suffix.lower() in SUFFIXES or "/" in text or "\\" in text


def read_document(path: Path) -> dict[str, Any]:
    """Return the portable profile document in `path`.

    Raises ConfigurationError when the file cannot be read, is neither JSON nor YAML, repeats a
    key, misses a required one, has one that no profile has, or a value that no server takes.
    """
    hint = "`tm profiles export` writes one to start from"

    def check(document: Any) -> dict[str, Any]:
        return portable(locustfiles.complete(document, path.parent), directory=path.parent)

    return documents.read_document(path, "profile document", check, as_text=AS_TEXT, hint=hint)


_PLAIN_URL = re.compile(r"http://([a-z0-9.]+(?::[0-9]+)?)((?:/[a-z0-9_]+)*|/)")


def constant_load(url: str, rate: float, seconds: int) -> dict[str, Any]:
    """Return a document of GET requests at a constant rate; each URL has a name of its own."""
    return portable(
        {
            "name": _name_for(url),
            "endpointUrl": url,
            "httpMethod": "GET",
            "duration": seconds,
            "interpolationMode": "LINEAR",
            "points": [[0, rate], [seconds, rate]],
        }
    )


def _name_for(url: str) -> str:
    """Return a name that a command line takes as one: `localhost:8080-checkout`.

    A URL whose spelling does not fit, or that names and hyphens cannot tell from others, adds a
    part of its hash.
    """
    if plain := _PLAIN_URL.fullmatch(url):
        return plain[1] + plain[2].rstrip("/").replace("/", "-")
    host_and_path = re.sub(r"[\[\]]", "", url.partition("://")[2].partition("?")[0])
    words = re.sub(r"[^A-Za-z0-9.:]+|::+", "-", host_and_path).strip("-.:")[:60]
    return f"{words}-{hashlib.sha256(url.encode()).hexdigest()[:6]}"


def examine_file(path: Path) -> tuple[dict[str, Any], list[documents.Problem]]:
    """Return what can be read of the profile document in `path`, and everything that is wrong."""
    found: dict[str, Any] = {}

    def check(document: Any) -> list[InvalidDocument]:
        problems: list[InvalidDocument] = []
        optional: tuple[str, ...] = ()
        try:
            document = locustfiles.complete(document, path.parent)
        except InvalidDocument as problem:
            problems = [problem]
            document = {key: each for key, each in document.items() if key != locustfiles.KEY}
            optional = ("endpointUrl",)  # it may be in the locustfile
        read, further = examine(document, path.parent, optional=optional)
        if isinstance(document, Mapping):
            found.update(_with_defaults(read, document))
        return problems + further

    problems = documents.examine_document(path, check, as_text=AS_TEXT)
    return found, problems


def read_changes(path: Path) -> dict[str, Any]:
    """Return the part of a profile document that is in `path`, without any default.

    Raises ConfigurationError, as `read_document` does.
    """

    def check(document: Any) -> dict[str, Any]:
        return portable(
            locustfiles.complete(document, path.parent), directory=path.parent, optional=REQUIRED
        )

    return documents.read_document(path, "profile document", check, as_text=AS_TEXT)


def portable(
    document: Any, directory: Path | None = None, *, optional: Collection[str] = ()
) -> dict[str, Any]:
    """Return `document` in the portable form; raises InvalidDocument when it cannot be one.

    Files that it names are relative to `directory`. Required keys that are `optional` may be
    missing; then it is a part of a document, which gets no defaults.

    Keys that begin with `x-` are the user's own, such as a place for what aliases refer to.
    """
    found, problems = examine(document, directory, optional=optional)
    if problems:
        raise problems[0]
    return found if optional else _with_defaults(found, document)


def examine(
    document: Any, directory: Path | None = None, *, optional: Collection[str] = ()
) -> tuple[dict[str, Any], list[InvalidDocument]]:
    """Return what can be read of a document, in the portable form, and all of its problems."""
    if not isinstance(document, Mapping):
        return {}, [InvalidDocument("it is not a mapping of keys to values")]
    document = {key: value for key, value in document.items() if not str(key).startswith("x-")}
    problems = list(_wrong_keys(document, optional))
    known = {*REQUIRED, *OPTIONAL}
    written = {str(ALIASES.get(key, key)): str(key) for key in document}
    readers = READERS | {
        "data": partial(read_data, directory=directory),
        "clientCertificate": partial(read_certificate, directory=directory),
        "tokenCommand": partial(read_command, directory=directory),
    }
    found: dict[str, Any] = {}
    for key, name in written.items():
        if key in known:
            read = partial(_read, readers[key], name)
            try:
                found[key] = read(document[name])
            except InvalidDocument as problem:
                problems += all_problems(read, document[name], problem, _HARMLESS.get(key))
    problems += _check_placeholders(found, written)
    gate = document.get("gate") if "gate" in found else None
    problems += contradictions(found, gate=gate or {})
    return found, problems


def _wrong_keys(
    document: Mapping[str, Any], optional: Collection[str]
) -> Iterator[InvalidDocument]:
    for alias, key in ALIASES.items():
        if alias in document and key in document:
            yield InvalidDocument(f"{alias} and {key} are two names of one value", (alias,))
    known = [*REQUIRED, *OPTIONAL, *ALIASES]
    for key in document:
        if key not in known:
            hint = _INSTEAD.get(key) or did_you_mean(
                key, known, "`tm schema profile` has all of them"
            )
            yield InvalidDocument(f"unknown key {shown(key)}; {hint}", (key,))
    names = {value: name for name, value in ALIASES.items()}
    missing = [
        key
        for key in REQUIRED
        if document.get(key) is None
        and document.get(names.get(key, key)) is None
        and key not in optional
    ]
    if missing:
        yield InvalidDocument(f"{' and '.join(missing)} missing")


_HARMLESS = {"points": [0, 0], "steps": {"request": "GET /"}}
"""What takes the place of an item of a list that must have some."""


def _check_placeholders(
    found: Mapping[str, Any], written: Mapping[str, str]
) -> Iterator[InvalidDocument]:
    for each in placeholders(found):
        if each.name is None:
            key = written[re.split(r"[.\[]", each.place)[0]]
            problem = "has `${` without a NAME and `}`; `$${` stands for the text itself"
            yield InvalidDocument(f"{sanitize(each.place)} {problem}", (key,))


def _with_defaults(found: Mapping[str, Any], written: Any) -> dict[str, Any]:
    """Add what a document means that does not say it: GET, or POST with a body, straight lines.

    One with `_format` is the API's own form, and keeps the API's defaults. As it is `written`, an
    empty mapping is not a body.
    """
    usual: dict[str, Any] = {}
    if found.get("_format") is None:
        has_body = any(written.get(key) for key in ("requestPayload", "requestBody"))
        usual = {"httpMethod": "POST" if has_body else "GET", "interpolationMode": "LINEAR"}
    given = {key: value for key, value in usual.items() if found.get(key) is None}
    return {**found, **given, "_format": FORMAT}


def _read(read: Callable[[Any], Any], written: str, value: Any) -> Any:
    """Return the value of a key in the portable form; null is the same as no key."""
    if value is None:
        return None
    try:
        return read(value)
    except InvalidDocument as problem:
        path = (written, *problem.path)
        raise InvalidDocument(f"{format_path(path)} {problem}", path) from None
    except ValueError as problem:  # from a reader of values/, which names what it reads
        inside = problem.path if isinstance(problem, InvalidThreshold) else ()
        raise InvalidDocument(str(problem), (written, *inside)) from None
