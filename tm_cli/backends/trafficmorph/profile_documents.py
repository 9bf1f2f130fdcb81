"""Profile documents: files in a repository that describe a load test.

They hold the portable form of the API (section 7 of its contract) in JSON or YAML. What is easier
to write in a file is accepted too: `duration: 1m`, headers as a mapping, points as pairs, a JSON
body as a document, limits such as `10%`, and the API's own names `targetUrl` and `requestBody`.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tm_cli.api import strict_json
from tm_cli.backends import documents
from tm_cli.backends.trafficmorph import locustfiles
from tm_cli.backends.trafficmorph.document_files import (
    LOCAL_KEYS,
    read_certificate,
    read_command,
    read_data,
)
from tm_cli.gate.target_metrics import check_metric_name
from tm_cli.values.documents import (
    EACH,
    InvalidDocument,
    KeyPath,
    expected,
    format_path,
    shown,
)
from tm_cli.values.durations import parse_duration
from tm_cli.values.journeys.checks import read_checks
from tm_cli.values.journeys.steps import AS_TEXT as TEXTS_OF_STEPS
from tm_cli.values.journeys.steps import read_redirects, read_steps, step_name
from tm_cli.values.placeholders import TOKEN, has_any, placeholders
from tm_cli.values.text import as_number, did_you_mean, sanitize
from tm_cli.values.thresholds import (
    STRETCH_SECONDS,
    InvalidThreshold,
    read_thresholds,
    stretch_problem,
)
from tm_cli.values.urls import LONGEST_URL, not_yet, quote_base_url, with_ascii_host

FORMAT = "trafficmorph-profile-v1"
SUFFIXES = frozenset({".json", ".yaml", ".yml"})

REQUIRED = ("name", "duration", "endpointUrl", "points")
OF_JOURNEYS = ("steps", "checks", "cookies", "followRedirects")
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
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
INTERPOLATIONS = ("SPLINE", "LINEAR")

AS_TEXT = (
    ("requestPayload",),
    ("requestBody",),
    ("requestHeaders", EACH),
    ("requestHeaders", EACH, EACH),
    *TEXTS_OF_STEPS,
)
"""Where a value is what the file has, letter by letter: a header `0123` is not a number."""

SHORTEST_REFRESH = 10
"""Seconds between two calls of the command for a token."""
SHORTEST, LONGEST = 10, 172_800
"""Seconds of a run."""
LONGEST_NAME = 120
MOST_POINTS = 5000
LONGEST_PAYLOAD = 1_000_000
LONGEST_SCRIPT = 50_000
LONGEST_COOLDOWN = 10_080
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_INSTEAD = {
    "rate": "the load is a curve, such as points: [[0, 50], [60, 50]]",
    "rps": "the load is a curve, such as points: [[0, 50], [60, 50]]",
    "url": "did you mean endpointUrl?",
    "method": "did you mean httpMethod?",
    "headers": "did you mean requestHeaders?",
    "body": "did you mean requestBody?",
}
"""What others call these things."""


LONGEST_WAIT = 3600.0
"""Seconds that a server may be asked to wait for the target."""


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
        found.update(with_defaults(read))
        return problems + further

    problems = documents.examine_document(path, check, as_text=AS_TEXT)
    return found, problems


def with_defaults(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document in the portable form with what it means without saying it."""
    return {**found, **_usual(found), "_format": FORMAT}


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
    return found if optional else with_defaults(found)


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
    readers = _READERS | {
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
                problems += _all_problems(read, key, document[name], problem)
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


MOST_PROBLEMS = 50
"""Problems of one key that are told."""


_HARMLESS = {"points": [0, 0], "steps": {"request": "GET /"}}
"""What takes the place of an item of a list that must have some."""


def _all_problems(
    read: Callable[[Any], Any], key: str, value: Any, first: InvalidDocument
) -> list[InvalidDocument]:
    """Return all problems of a value: each place that has one is left out, and the rest read.

    A problem above such a place may be a consequence of that, and is not told.
    """
    found, problem = [first], first
    left_out = set[KeyPath]()
    harmless = _HARMLESS.get(key)
    while len(found) < MOST_PROBLEMS:
        place = _original(value, left_out, problem.path[1:], harmless)
        if not place or place in left_out:
            break
        left_out.add(place)
        try:
            read(_without(value, left_out, harmless))
            break
        except InvalidDocument as next_one:
            problem = next_one
        at = _original(value, left_out, problem.path[1:], harmless)
        if not any(each[: len(at)] == at for each in left_out):
            path = (*problem.path[:1], *at)
            told = str(problem).removeprefix(format_path(problem.path))
            is_named = told != str(problem)
            found.append(InvalidDocument((format_path(path) if is_named else "") + told, path))
    return found


def _without(
    value: Any, left_out: Collection[KeyPath], harmless: Any = None, at: KeyPath = ()
) -> Any:
    match value:
        case dict():
            items = ((key, (*at, key), each) for key, each in value.items())
            return {
                key: _without(each, left_out, None, path)
                for key, path, each in items
                if path not in left_out
            }
        case list():
            found = []
            for number, each in enumerate(value):
                path = (*at, number)
                if path not in left_out:
                    found.append(_without(each, left_out, None, path))
                elif harmless is not None:
                    found.append(harmless)
            return found
    return value


def _original(value: Any, left_out: Collection[KeyPath], path: KeyPath, harmless: Any) -> KeyPath:
    """Return a path in the value for a path in what is left of it."""
    at: KeyPath = ()
    for step in path:
        try:
            if isinstance(value, list) and isinstance(step, int) and (at or harmless is None):
                step = [n for n in range(len(value)) if (*at, n) not in left_out][step]
            value = value[step]
        except (LookupError, TypeError):  # about something that is not there
            break
        at = (*at, step)
    return at


def contradictions(
    found: Mapping[str, Any], *, gate: Mapping[str, Any]
) -> Iterator[InvalidDocument]:
    """Yield what is wrong between the values of a document, as far as they are there.

    `gate` has the thresholds under the names that are written.
    """
    yield from _check_token(found)
    yield from _check_curve(found)
    yield from _check_stretches(found, gate)
    yield from _check_steps(found)


def _check_placeholders(
    found: Mapping[str, Any], written: Mapping[str, str]
) -> Iterator[InvalidDocument]:
    for each in placeholders(found):
        if each.name is None:
            key = written[re.split(r"[.\[]", each.place)[0]]
            problem = "has `${` without a NAME and `}`; `$${` stands for the text itself"
            yield InvalidDocument(f"{sanitize(each.place)} {problem}", (key,))


def _check_token(found: Mapping[str, Any]) -> Iterator[InvalidDocument]:
    """Refuse a command whose output nothing uses, and a refresh of nothing."""
    if found.get("tokenRefresh") and not found.get("tokenCommand"):
        yield InvalidDocument("tokenRefresh needs a tokenCommand", ("tokenRefresh",))
    if found.get("tokenCommand") and TOKEN not in {each.name for each in placeholders(found)}:
        problem = f"tokenCommand has no use: no value has ${{{TOKEN}}}"
        yield InvalidDocument(problem, ("tokenCommand",))


def _usual(fields: Mapping[str, Any]) -> dict[str, Any]:
    """What a document means that does not say it: GET, or POST with a body, and straight lines.

    One with `_format` is the API's own form, and keeps the API's defaults.
    """
    if fields.get("_format") is not None:
        return {}
    method = "POST" if fields.get("requestPayload") else "GET"
    usual = {"httpMethod": method, "interpolationMode": "LINEAR"}
    return {key: value for key, value in usual.items() if fields.get(key) is None}


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


def _text(longest: int, *, least: int = 0) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        if not isinstance(value, str):
            quotes = "" if isinstance(value, dict | list) else "; write it in quotes"
            raise expected(value, f"text{quotes}")
        if len(value) > longest:
            raise InvalidDocument(f"is longer than {longest} characters")
        if len(value.strip()) < least:
            raise InvalidDocument("is blank")
        return value

    return read


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise expected(value, "true or false")
    return value


def _one_of(words: tuple[str, ...], *, any_case: bool = True) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        word = value.upper() if any_case and isinstance(value, str) else value
        if word not in words:
            raise expected(value, f"one of {', '.join(words)}" if words[1:] else words[0])
        return str(word)

    return read


def _url(value: Any) -> str:
    url = _text(LONGEST_URL)(value)
    if has_any(url[: url.find("/", url.find("//") + 2)]):  # scheme and host come with the start
        return url
    try:
        parts = urlsplit(url)
        is_url = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_url = False
    if not is_url or any(char <= " " or char == "\x7f" for char in url):
        wanted = not_yet(url) or "expected an http or https URL such as http://localhost:8080/"
        raise InvalidDocument(f"is {quote_base_url(sanitize(url, longest=60))}; {wanted}")
    try:
        return url if "$$" in url else with_ascii_host(url)
    except ValueError as problem:
        raise InvalidDocument(f"has an unusable host: {problem}") from None


def _seconds(value: Any) -> int:
    seconds = parse_duration(value) if isinstance(value, str) else as_number(value)
    if seconds is None or seconds % 1 != 0:
        raise expected(value, "a whole number of seconds, or a duration such as 90s or 1h30m")
    if not SHORTEST <= seconds <= LONGEST:
        raise expected(value, f"{SHORTEST}s to {LONGEST // 3600}h")
    return int(seconds)


def _wait_time(value: Any) -> float:
    seconds = parse_duration(value) if isinstance(value, str) else value
    number = as_number(seconds)
    if number is None or not 0 <= number <= LONGEST_WAIT:
        raise expected(value, "a duration of at most an hour, such as 60s")
    return float(number)


def _http_version(value: Any) -> str:
    versions = {"1": "1.1", "1.1": "1.1", "2": "2", "2.0": "2"}
    if isinstance(value, bool) or str(value) not in versions:
        raise expected(value, "1.1 or 2")
    return versions[str(value)]


def _refresh_time(value: Any) -> float:
    seconds = _wait_time(value)
    if seconds < SHORTEST_REFRESH:
        raise expected(value, f"{SHORTEST_REFRESH}s or more")
    return seconds


def _warmup(value: Any) -> float:
    seconds = _wait_time(value)
    if seconds % STRETCH_SECONDS:
        wanted = f"a multiple of {STRETCH_SECONDS}s, the stretches in which the server measures"
        raise expected(value, wanted)
    return seconds


def _points(value: Any) -> list[dict[str, float]]:
    if not isinstance(value, list):
        raise InvalidDocument("is not a list")
    if not 2 <= len(value) <= MOST_POINTS:
        raise InvalidDocument(f"has {len(value)} points; expected 2 to {MOST_POINTS}")
    return [_point(index, point) for index, point in enumerate(value)]


def _point(index: int, point: Any) -> dict[str, float]:
    if isinstance(point, list) and len(point) == 2:
        steps: KeyPath = (0, 1)
    elif isinstance(point, Mapping) and point.keys() == {"x", "y"}:
        steps = ("x", "y")
    else:
        raise expected(point, "a point, [second, rate] or {x: second, y: rate}", index)
    for step in steps:
        if as_number(point[step]) is None or point[step] < 0:
            raise expected(point[step], "a number from 0 up", index, step)
    return {name: point[step] for name, step in zip("xy", steps, strict=True)}


def _check_curve(found: Mapping[str, Any]) -> Iterator[InvalidDocument]:
    for index, point in enumerate(found.get("points") or ()):
        if point["x"] > (found.get("duration") or LONGEST):
            yield InvalidDocument(
                f"points[{index}] is at {point['x']:g}s, beyond the duration", ("points", index)
            )


def _check_stretches(
    found: Mapping[str, Any], gate: Mapping[str, Any]
) -> Iterator[InvalidDocument]:
    """Refuse what would leave nothing to judge."""
    duration, warmup = found.get("duration") or LONGEST, found.get("warmup") or 0.0
    if warmup >= duration:
        yield InvalidDocument("warmup leaves nothing to judge of the duration", ("warmup",))
    for key in map(str, gate):
        if problem := stretch_problem(key, duration=duration, warmup=warmup):
            yield InvalidDocument(f"gate.{key}: {problem}", ("gate", key))


def _check_steps(found: Mapping[str, Any]) -> Iterator[InvalidDocument]:
    """Refuse what has no meaning beside steps; an export names a method, which is its default."""
    used = [key for key in OF_JOURNEYS if found.get(key)]
    if used and found.get(locustfiles.KEY):
        yield InvalidDocument(f"{used[0]} has no effect on a locustfile", (used[0],))
    if used and found.get("httpVersion") == "2":
        yield InvalidDocument(f"{used[0]} cannot be played in HTTP/2", ("httpVersion",))
    if not found.get("steps"):
        return
    own = ["requestPayload"] + ["httpMethod"] * (found.get("_format") is None)
    for key in own:
        if found.get(key):
            yield InvalidDocument(
                f"{key} has no effect on steps: each has a request of its own", (key,)
            )
    if urlsplit(found.get("endpointUrl") or "").query:
        problem = "endpointUrl has a query; with steps it is the beginning of their URLs"
        yield InvalidDocument(problem, ("endpointUrl",))
    names = dict.fromkeys(step_name(step) for step in found["steps"] if "think" not in step)
    for name in (found.get("gate") or {}).get("steps") or ():
        if name not in names:
            hint = did_you_mean(name, names, f"the steps are {', '.join(names)}")
            problem = f"gate.steps names {shown(name)}, which is not one of its steps; {hint}"
            yield InvalidDocument(sanitize(problem), ("gate", "steps", name))


def _payload(value: Any) -> str:
    text = json.dumps(value) if isinstance(value, Mapping | list) else value
    return _text(LONGEST_PAYLOAD)(text)


def _headers(value: Any) -> str:
    """Headers as the API has them: JSON text."""
    if isinstance(value, str):
        if not value.strip():
            return value
        try:
            items = strict_json.parse(value)
        except ValueError as problem:
            raise InvalidDocument(f"is not JSON text: {problem}") from None
        _check_headers(items)
        return value
    pairs = value
    if isinstance(value, Mapping):
        pairs = [{"name": name, "value": text} for name, text in value.items()]
        for name, text in value.items():
            _check_header(name, text, (name,))
    _check_headers(pairs)
    return json.dumps(pairs)


def _check_headers(items: Any) -> None:
    if not isinstance(items, list):
        raise expected(items, "a mapping of names to values")
    for index, item in enumerate(items):
        if not isinstance(item, Mapping) or item.keys() != {"name", "value"}:
            raise expected(item, "a header, {name: ..., value: ...}", index)
        _check_header(item["name"], item["value"], (index,))


def _check_header(name: Any, value: Any, path: KeyPath) -> None:
    if not isinstance(name, str) or not _HEADER_NAME.fullmatch(name):
        raise InvalidDocument("cannot be the name of a header", path)
    if not isinstance(value, str):
        kind = shown(value) if isinstance(value, dict | list) else "not text"
        raise InvalidDocument(f"is {kind}; a header has one text as its value", path)
    if any(char in "\r\n\0" for char in value):
        raise InvalidDocument("holds a line break, which cannot stand in a header", path)


def _cooldown(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= LONGEST_COOLDOWN:
        raise expected(value, f"a whole number from 0 to {LONGEST_COOLDOWN}")
    return value


def _metrics(value: Any) -> dict[str, dict[str, Any]]:
    """Read queries by name: a text, or a mapping with `query`, `prometheus` and `headers`."""
    found = {}
    for name, entry in _table(value).items():
        item = {"query": entry} if isinstance(entry, str) else entry
        try:
            check_metric_name(str(name))
        except ValueError as problem:
            raise InvalidDocument(f"is not the name of a metric ({problem})", (name,)) from None
        if not isinstance(item, dict) or not item.keys() <= {"query", "prometheus", "headers"}:
            raise expected(item, "a query, or {query: ..., prometheus: ..., headers: ...}", name)
        for key in ("query", "prometheus"):
            text = item.get(key, None if key == "query" else "-")
            if not isinstance(text, str) or not text.strip():
                raise expected(text, "a text", name, key)
        headers = {} if item.get("headers") is None else item["headers"]
        if not isinstance(headers, Mapping):
            raise expected(headers, "a mapping of names to values", name, "headers")
        for header, text in headers.items():
            _check_header(header, text, (name, "headers", header))
        found[str(name)] = item
    return found


def _texts(value: Any) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise expected(value, "a list of texts")
    return value


def _table(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise expected(value, "a mapping")
    return value


SCHEDULE_MODES = ("ONCE", "PERIODIC")
SLOT_TIME = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"


def _schedule(value: Any) -> dict[str, Any]:
    """Whether the time zone is known is for the server to say: its list may be a newer one."""
    schedule = _table(value)
    if (mode := schedule.get("mode")) not in (None, *SCHEDULE_MODES):
        raise expected(mode, f"one of {', '.join(SCHEDULE_MODES)}", "mode")
    slots = schedule.get("slots")
    if slots is not None and not isinstance(slots, list):
        raise expected(slots, "a list", "slots")
    for number, slot in enumerate(slots or ()):
        if not isinstance(slot, dict):
            raise expected(slot, "a mapping", "slots", number)
        day, time = slot.get("dayOfWeek", 1), slot.get("time", "00:00")
        if type(day) is not int or not 1 <= day <= 7:
            raise expected(day, "1 (Monday) to 7", "slots", number, "dayOfWeek")
        if not isinstance(time, str) or not re.fullmatch(SLOT_TIME, time):
            raise expected(time, "HH:mm, such as 06:30", "slots", number, "time")
        if not {"dayOfWeek", "time"} <= slot.keys():
            raise expected(slot, "dayOfWeek and time", "slots", number)
    return schedule


_READERS: dict[str, Callable[[Any], Any]] = {
    "_format": _one_of((FORMAT,), any_case=False),
    "name": _text(LONGEST_NAME, least=1),
    "duration": _seconds,
    "endpointUrl": _url,
    "points": _points,
    "requestPayload": _payload,
    "loop": _boolean,
    "httpMethod": _one_of(METHODS),
    "requestHeaders": _headers,
    "interpolationMode": _one_of(INTERPOLATIONS),
    "responseScript": _text(LONGEST_SCRIPT),
    "callbackUrl": _text(LONGEST_URL),
    "readinessUrl": _text(LONGEST_URL),
    "autoAlertEnabled": _boolean,
    "autoAlertMinSeverity": _one_of(("WARN", "FAIL"), any_case=False),
    "autoAlertCooldownMinutes": _cooldown,
    "autoAlertRecipients": _texts,
    "schedule": _schedule,
    "gate": read_thresholds,
    "waitForTarget": _wait_time,
    "warmup": _warmup,
    "stopEarly": _boolean,
    "metrics": _metrics,
    "steps": read_steps,
    "checks": read_checks,
    "cookies": _boolean,
    "followRedirects": read_redirects,
    "tokenRefresh": _refresh_time,
    "httpVersion": _http_version,
    locustfiles.KEY: locustfiles.read_reference,
}
