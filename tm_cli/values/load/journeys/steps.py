"""The steps of a journey, as users write them under `steps:`.

The form of the API differs in that texts, times and checks are what `read_steps` makes of them;
to read that again changes nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from tm_cli.values.documents import EACH, InvalidDocument, KeyPath, expected
from tm_cli.values.load.journeys.checks import (
    HEADER_NAME,
    LONGEST_TIME,
    Reader,
    read_below,
    read_checks,
    read_extractions,
    read_fields,
    read_seconds,
)
from tm_cli.values.load.placeholders import has_any
from tm_cli.values.text import as_number, did_you_mean
from tm_cli.values.urls import LONGEST_URL, with_ascii_host

MOST_STEPS = 100
LONGEST_NAME = 100
LONGEST_BODY = 1_000_000
MOST_REDIRECTS = 20
USUAL_REDIRECTS = 5
"""How many are followed with `followRedirects: true`."""
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
MACRO = re.compile(r"\$\$([^\s${}]+)\$\$")

AS_TEXT: tuple[tuple[str, ...], ...] = (
    ("steps", EACH, "body"),
    ("steps", EACH, "headers", EACH),
    *(
        (*place, *inner)
        for place in (("checks",), ("steps", EACH, "checks"))
        for inner in (("body",), ("body", EACH), ("header", EACH))
    ),
)
"""Where a value is what the file has, letter by letter."""

_INSTEAD = {
    "method": "the request is one text, as in request: POST /login",
    "url": "the request is one text, as in request: GET /products",
    "path": "the request is one text, as in request: GET /products",
    "wait": "did you mean think?",
    "sleep": "did you mean think?",
    "check": "did you mean checks?",
    "variables": "did you mean extract?",
}
_FRAMING = {"content-length", "transfer-encoding", "expect"}
_FIELD_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_OF_THINKING = frozenset({"think"})


def read_steps(value: Any) -> list[dict[str, Any]]:
    """Return the steps in the form of the API; raises InvalidDocument."""
    if not isinstance(value, list) or not 1 <= len(value) <= MOST_STEPS:
        raise expected(value, f"a list of 1 to {MOST_STEPS} steps")
    steps = [read_below(index, _step, step) for index, step in enumerate(value)]
    if not any("request" in step for step in steps):
        raise InvalidDocument("has no step with a request")
    if (longest := longest_thinking(steps)) > LONGEST_TIME:
        raise InvalidDocument(
            f"takes up to {longest:g}s to think; at most {LONGEST_TIME:g}s are allowed"
        )
    return steps


def read_redirects(value: Any) -> int:
    """Return how many redirects are followed."""
    if isinstance(value, bool):
        return USUAL_REDIRECTS if value else 0
    if not isinstance(value, int) or not 0 <= value <= MOST_REDIRECTS:
        raise expected(value, f"true, false, or a number from 0 to {MOST_REDIRECTS}")
    return value


def step_name(step: Mapping[str, Any]) -> str:
    """Return the name of a step with a request, as reports show it."""
    return str(step.get("name") or step["request"])


def request_of(step: Mapping[str, Any]) -> tuple[str, str]:
    """Return the method and the path or URL of a step."""
    method, _, url = str(step["request"]).partition(" ")
    return method, url


def absolute_urls(steps: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the beginnings of all absolute URLs, each once: `https://api.example:8443/`."""
    urls = [request_of(step)[1] for step in steps if "request" in step]
    parts = [urlsplit(url) for url in urls if not url.startswith("/")]
    return list(dict.fromkeys(f"{each.scheme}://{each.netloc}/" for each in parts))


def requests_in_a_visit(steps: Sequence[Mapping[str, Any]]) -> int:
    """Return how many requests a visitor sends; of steps with weights in a row it is one."""
    kinds = [step.keys() & {"think", "weight"} for step in steps]
    return sum(
        "think" not in kind and not ("weight" in kind and "weight" in before)
        for kind, before in zip(kinds, [set(), *kinds], strict=False)
    )


def longest_thinking(steps: Sequence[Mapping[str, Any]]) -> float:
    """Return the seconds that a visitor thinks at most."""
    return sum(float(step["think"][1]) for step in steps if "think" in step)


def unfilled_macro(
    steps: Sequence[Mapping[str, Any]], known: Collection[str] = ()
) -> tuple[KeyPath, str] | None:
    """Return the path and the text of the first macro that has no value when its step is played.

    `known` are the names that data has for every visitor.
    """
    found = set(known)
    for index, step in enumerate(steps):
        for path, text in _texts(step):
            for macro in MACRO.finditer(text):
                if macro[1] not in found:
                    return ("steps", index, *path), macro[0]
        found |= set(step.get("extract") or ())
    return None


def _texts(step: Mapping[str, Any]) -> Iterator[tuple[KeyPath, str]]:
    for key in ("request", "body"):
        if text := step.get(key):
            yield (key,), text
    for name, text in (step.get("headers") or {}).items():
        yield ("headers", name), text


def _step(value: Any) -> dict[str, Any]:
    readers: dict[str, Reader] = {
        "name": _name,
        "request": _request,
        "headers": _headers,
        "body": _body,
        "checks": read_checks,
        "extract": read_extractions,
        "weight": _weight,
        "continueOnError": _boolean,
        "followRedirects": read_redirects,
        "think": _think,
    }
    if isinstance(value, Mapping):
        _check_keys(value, readers)
    step = read_fields(value, readers, "a step such as {request: GET /products} or {think: 1s}")
    if "think" in step and step.keys() != _OF_THINKING:
        other = next(key for key in step if key != "think")
        raise InvalidDocument("cannot be together with think: that is a step of its own", (other,))
    if not step.keys() & {"think", "request"}:
        raise InvalidDocument("has no request; expected for example request: GET /products")
    headers = step.get("headers", {})
    if isinstance(value.get("body"), Mapping | list) and not _has_type(headers):
        step["headers"] = {**headers, "Content-Type": "application/json"}
    return step


def _has_type(headers: Mapping[str, str]) -> bool:
    return any(name.lower() == "content-type" for name in headers)


def _check_keys(step: Mapping[Any, Any], readers: Mapping[str, Reader]) -> None:
    for key in step:
        if key in _INSTEAD:
            raise InvalidDocument(f"is not known; {_INSTEAD[key]}", (key,))
        if key not in readers and not did_you_mean(str(key), readers):
            raise InvalidDocument(f"is not known; the keys are {', '.join(readers)}", (str(key),))


def _name(value: Any) -> str:
    if not isinstance(value, str) or not value.strip() or len(value) > LONGEST_NAME:
        raise expected(value, f"a name of at most {LONGEST_NAME} characters")
    if not value.isprintable():
        raise InvalidDocument("has characters that cannot be shown")
    return value.strip()


def _request(value: Any) -> str:
    """METHOD and path or URL; GET where no method is written."""
    wanted = "METHOD and path, such as GET /products or POST https://api.example/login"
    words = value.split() if isinstance(value, str) else []
    if not 1 <= len(words) <= 2:  # it may hold a secret, which no message shows
        raise InvalidDocument(f"is something else than {wanted}")
    method, url = (words[0].upper(), words[1]) if words[1:] else ("GET", words[0])
    if method not in METHODS:
        hint = did_you_mean(method, METHODS, f"the methods are {', '.join(METHODS)}")
        raise InvalidDocument(f"has the unknown method {method[:20]!r}; {hint}")
    return f"{method} {_url(url)}"


def _url(url: str) -> str:
    if len(url) > LONGEST_URL:
        raise InvalidDocument(f"is longer than {LONGEST_URL} characters")
    if "#" in url or not url.isprintable():
        raise InvalidDocument("has a fragment, or characters that no URL has")
    if url.startswith("/") and not url.startswith("//"):
        return url
    if has_any(url) and url.startswith(("http://", "https://", "${")):
        return url  # what it is will be known when the run starts
    try:
        parts = urlsplit(url)
        is_url = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_url = False
    if url.partition("://")[0].lower() in ("ws", "wss", "grpc", "grpcs"):
        raise InvalidDocument("has a URL of WebSocket or gRPC, which is not supported yet")
    if not is_url:
        wanted = "a path that begins with /, or an http or https URL"
        raise InvalidDocument(f"has something else than {wanted}")
    if "@" in parts.netloc or "$$" in parts.netloc:
        raise InvalidDocument("has credentials or a macro in its host, which cannot be used there")
    return with_ascii_host(url)


def _headers(value: Any) -> dict[str, str]:
    if not isinstance(value, Mapping):
        raise expected(value, "a mapping of names to values")
    for name, text in value.items():
        if not isinstance(name, str) or not HEADER_NAME.fullmatch(name):
            raise InvalidDocument("cannot be the name of a header", (str(name),))
        if not isinstance(text, str):
            raise InvalidDocument("is not text", (name,))
        if name.lower() in _FRAMING:
            raise InvalidDocument("is set by the load generator itself", (name,))
        if not _FIELD_VALUE.fullmatch(text):
            raise InvalidDocument("holds characters that cannot stand in a header", (name,))
    return dict(value)


def _body(value: Any) -> str:
    text = json.dumps(value) if isinstance(value, Mapping | list) else value
    if not isinstance(text, str) or len(text) > LONGEST_BODY:
        wanted = f"a mapping, a list, or text of at most {LONGEST_BODY} characters"
        raise InvalidDocument(f"is something else than {wanted}")
    return text


def _weight(value: Any) -> float:
    number = as_number(value)
    if number is None or not 0 < number <= 1e6:
        raise expected(value, "a number above 0, such as 9")
    return number


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise expected(value, "true or false")
    return value


def _think(value: Any) -> list[float]:
    """The shortest and the longest time in seconds."""
    bounds = value.split("..") if isinstance(value, str) else value
    if not isinstance(bounds, list):
        bounds = [bounds]
    if not 1 <= len(bounds) <= 2:
        raise expected(value, "a duration such as 1s, or a range such as 1s..3s")
    shortest, longest = (read_seconds(bounds[place]) for place in (0, -1))
    if shortest > longest:
        raise InvalidDocument("ends before it begins; write the shorter time first")
    return [shortest, longest]
