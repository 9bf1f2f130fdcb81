"""Captured requests: a JSON object per line, as capture libraries write them.

Section 16.1 of the API's contract describes the keys: `t`, `method`, `url`, `headers`, `body`.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

LONGEST_LINE = 8 * 1024 * 1024
"""Bytes; a body of a million characters has up to six times as many in JSON."""
MOST_LINES = 1_000_000
LARGEST_CAPTURE = 120 * 1024 * 1024
"""Bytes of a file."""
REDACTED = "[REDACTED]"
"""What stands in the place of a secret."""

_TRUNCATED = re.compile(r"\.\.\.\[truncated \d+ chars\]\Z")
_METHOD = re.compile(r"[A-Za-z][A-Za-z-]{0,15}")
_HOST = re.compile(r"[\w.:\[\]%~-]+")
"""Also those that are not ASCII, but nothing that begins a macro or a placeholder."""
_HALF = re.compile(r"[\ud800-\udfff]")
_PACKED = {
    b"\x1f\x8b": "gzip",
    b"PK\x03\x04": "zip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
}


class InvalidLine(ValueError):
    """A line that is not a captured request; the message names the key."""


class UnusableCapture(ValueError):
    """A file that is not a capture, or too long."""


@dataclass(frozen=True, slots=True)
class CapturedRequest:
    """One request; `at` is in seconds, of which only differences matter."""

    at: float
    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str | None = None


def numbered_lines(pieces: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """The lines of a file that are not blank, counted from 1.

    Of a line longer than LONGEST_LINE comes so much that `read_request` refuses it. Raises
    UnusableCapture for a file that is compressed or has too many lines.
    """
    for number, line in enumerate(_lines(_plain(pieces)), 1):
        if number > MOST_LINES:
            raise UnusableCapture(f"it has more than {MOST_LINES:,} lines; split it")
        if line and not line.isspace():
            yield number, line


def _plain(pieces: Iterable[bytes]) -> Iterator[bytes]:
    first = b""
    for piece in (source := iter(pieces)):
        first += piece
        if len(first) >= max(map(len, _PACKED)):
            break
    for mark, name in _PACKED.items():
        if first.startswith(mark):
            raise UnusableCapture(f"it is compressed ({name}); unpack it first")
    yield first.removeprefix(b"\xef\xbb\xbf")
    yield from source


def _lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    rest = b""
    for piece in pieces:
        *whole, last = piece.split(b"\n")
        for line in whole:
            yield rest + line
            rest = b""
        if len(rest) <= LONGEST_LINE:  # what comes after is not kept
            rest += last
    if rest:
        yield rest


def read_request(line: bytes) -> CapturedRequest:
    """Read one line; raises InvalidLine. Unknown keys are ignored."""
    if len(line) > LONGEST_LINE:
        raise InvalidLine(f"the line is longer than {LONGEST_LINE:,} bytes")
    document = _document(line)
    body = document.get("body")
    if body is not None and not isinstance(body, str):
        raise InvalidLine("body must be a text or null")
    return CapturedRequest(
        _seconds(document.get("t")),
        _method(document.get("method")),
        _url(document.get("url")),
        _headers(document.get("headers")),
        body,
    )


def _document(line: bytes) -> Mapping[str, Any]:
    try:
        text = line.decode()
        document = json.loads(text)
    except UnicodeDecodeError:
        raise InvalidLine("the line is not text in UTF-8") from None
    except (ValueError, RecursionError) as problem:
        raise InvalidLine(f"the line is not JSON: {_explained(problem)}") from None
    if not isinstance(document, dict):
        raise InvalidLine("the line is not a JSON object")
    if "\\ud" in text.lower() and _HALF.search(json.dumps(document, ensure_ascii=False)):
        raise InvalidLine("the line has half of a character (a lone surrogate)")
    return document


def _explained(problem: Exception) -> str:
    if isinstance(problem, json.JSONDecodeError):
        return f"{problem.msg} at character {problem.pos + 1}"
    return (
        "it is nested too deeply"
        if isinstance(problem, RecursionError)
        else "a number in it has too many digits"
    )


def _seconds(value: Any) -> float:
    if value is None:
        raise InvalidLine("t is missing")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidLine("t must be a number of seconds")
    try:
        seconds = float(value)
    except OverflowError:
        seconds = math.inf
    if not (math.isfinite(seconds) and seconds >= 0):
        raise InvalidLine("t must be a finite number of seconds, 0 or more")
    return seconds


def _method(value: Any) -> str:
    if value is None:
        raise InvalidLine("method is missing")
    if not isinstance(value, str) or not _METHOD.fullmatch(value):
        raise InvalidLine("method must be the name of an HTTP method")
    return value.upper()


def _url(value: Any) -> str:
    if value is None:
        raise InvalidLine("url is missing")
    if not isinstance(value, str) or not _is_absolute(value):
        raise InvalidLine("url must be an absolute http or https URL")
    return value


def _is_absolute(url: str) -> bool:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    host = parts.netloc.rpartition("@")[2]
    return parts.scheme in ("http", "https") and bool(parts.hostname and _HOST.fullmatch(host))


def _headers(value: Any) -> Mapping[str, str]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InvalidLine("headers must be an object of names and values")
    for name, text in value.items():
        if not isinstance(text, str):
            raise InvalidLine(f"headers: the value of {name} must be a text")
    return value


def write_request(request: CapturedRequest) -> str:
    """The line of a request, without its end; what is missing is left out."""
    at = round(request.at, 3)
    document: dict[str, Any] = {"t": at, "method": request.method, "url": request.url}
    if request.headers:
        document["headers"] = dict(request.headers)
    if request.body is not None:
        document["body"] = request.body
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def is_truncated(body: str) -> bool:
    """Whether the capture library has cut the body."""
    return _TRUNCATED.search(body) is not None
