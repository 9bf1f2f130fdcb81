"""Checks of answers, and values that are extracted from them.

The target is not trusted: what is kept, parsed and searched of an answer is bounded, and regular
expressions have a time limit, because they run in the thread that sends all requests.
"""

from __future__ import annotations

import json
import re
import signal
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import Any, Self

from tm_cli.server.engine.http1.response import FOLD, Response
from tm_cli.values.failures import CHECK_FAILED, EXTRACTION_FAILED
from tm_cli.values.load.journeys.json_path import JsonPath, find_in_json, parse_json_path

MOST_KEPT = 2 * 1024 * 1024
"""Bytes of a body that are kept for checks and extraction, and of what it is decoded to."""
SEARCH_TIME = 0.05
"""Seconds of processor time for one search with a regular expression."""
_LONGEST_VALUE = 64 * 1024
_TIMER = getattr(signal, "ITIMER_VIRTUAL", None)  # Windows has none
_ABSENT = object()
_CHARSET = re.compile(r"charset=\"?([\w-]{1,40})", re.IGNORECASE)
_CHARSETS = {"iso-8859-1", "iso-8859-15", "windows-1252", "utf-16", "us-ascii", "shift_jis", "gbk"}


def fields_of(head: bytes) -> list[tuple[str, str]]:
    """The header fields of a response; their names in lower case."""
    lines = FOLD.sub(b" ", head).decode("latin-1").split("\n")[1:]
    pairs = (line.partition(":") for line in lines)
    return [(name.lower(), value.strip()) for name, _, value in pairs]


def _no_constant(name: str) -> None:
    raise ValueError(name)  # Python reads NaN and Infinity, which JSON does not have


class Unusable(Exception):
    """A body that cannot be looked into; the message is the reason, in a few words."""


class TooLarge(Unusable):
    """A body that has, or whose content has, more bytes than are looked into."""

    def __init__(self, most: int) -> None:
        size = f"{most // 1024 // 1024} MiB" if most >= 1024 * 1024 else f"{most // 1024} KiB"
        super().__init__(f"over {size}")


class Answer:
    """The final answer to a step; what is in the body is decoded when it is first needed."""

    def __init__(
        self,
        status: int,
        fields: Sequence[tuple[str, str]],
        body: bytes | None,
        size: int,
        most: int = MOST_KEPT,
    ) -> None:
        """`body` is None where it was too large to be kept; `size` counts its bytes.

        What has more than `most`, also decoded, is not looked into.
        """
        self.status = status
        self.size = size
        self._fields = fields
        self._body = body
        self._most = most
        self._text: str | None = None
        self._document: Any = _ABSENT

    @classmethod
    def of(cls, response: Response, most: int = MOST_KEPT) -> Self:
        is_kept = response.body_size <= most
        body = bytes(response.body) if is_kept else None
        return cls(response.status, fields_of(response.head), body, response.body_size, most)

    def header(self, name: str) -> str | None:
        """The value of a header; those of several fields of that name are joined."""
        name = name.lower()
        found = [value for each, value in self._fields if each == name]
        return ", ".join(found) if found else None

    @property
    def text(self) -> str:
        """The decoded body; raises Unusable."""
        if self._text is None:
            self._text = self._decoded().decode(self._charset, "replace")
        return self._text

    @property
    def document(self) -> Any:
        """The body as JSON; raises Unusable."""
        if self._document is _ABSENT:
            try:
                self._document = json.loads(self.text, parse_constant=_no_constant)
            except (ValueError, RecursionError):
                raise Unusable("not JSON") from None
        return self._document

    def _decoded(self) -> bytes:
        if self._body is None:
            raise TooLarge(self._most)
        coding = (self.header("content-encoding") or "identity").strip().lower()
        if coding == "identity" or not self._body:
            return self._body
        if coding not in ("gzip", "x-gzip", "deflate"):
            raise Unusable("unknown encoding")
        decoder = zlib.decompressobj(wbits=47)  # gzip or zlib, as the first bytes say
        try:
            found = decoder.decompress(self._body, self._most)
        except zlib.error:
            raise Unusable("damaged encoding") from None
        if decoder.unconsumed_tail or len(found) == self._most:
            raise TooLarge(self._most)
        if not decoder.eof:  # the end is missing
            raise Unusable("damaged encoding")
        return found

    @property
    def _charset(self) -> str:
        found = _CHARSET.search(self.header("content-type") or "")
        return found[1] if found and found[1].lower() in _CHARSETS else "utf-8"


class SearchTimeout(Exception):
    """A regular expression has taken too long."""


class _TimeLimit:
    """Ends a search after `SEARCH_TIME` of processor time, in the main thread; not on Windows.

    A timer that strikes too late, when the search is over, changes nothing.
    """

    def __init__(self) -> None:
        self._is_searching = False
        if _TIMER is not None:
            signal.signal(signal.SIGVTALRM, self._strike)

    def _strike(self, number: int, frame: FrameType | None) -> None:
        if self._is_searching:
            self._is_searching = False
            raise SearchTimeout

    def search(self, pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
        if _TIMER is None:
            return pattern.search(text)
        try:
            self._is_searching = True
            signal.setitimer(_TIMER, SEARCH_TIME)
            return pattern.search(text)
        finally:
            self._is_searching = False
            signal.setitimer(_TIMER, 0)


_limit: _TimeLimit | None = None


def search(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    """Search with a time limit; raises Unusable when it takes too long."""
    global _limit
    _limit = _limit or _TimeLimit()
    try:
        return _limit.search(pattern, text)
    except SearchTimeout:
        raise Unusable("regex took too long") from None


@dataclass(frozen=True, slots=True)
class Checks:
    """What is wanted of an answer; see the keys of `checks:`."""

    status: frozenset[int] | None = None
    contains: str | None = None
    lacks: str | None = None
    regex: re.Pattern[str] | None = None
    header: tuple[tuple[str, str], ...] = ()
    json: tuple[tuple[JsonPath, Any], ...] = ()
    max_time: float | None = None
    smallest: int | None = None
    largest: int | None = None

    @classmethod
    def of(cls, checks: Mapping[str, Any]) -> Self | None:
        """The checks in the form of the API; None without any."""
        if not checks:
            return None
        body, size = checks.get("body", {}), checks.get("size", {})
        return cls(
            status=frozenset(checks["status"]) if "status" in checks else None,
            contains=body.get("contains"),
            lacks=body.get("lacks"),
            regex=re.compile(body["regex"]) if "regex" in body else None,
            header=tuple(checks.get("header", {}).items()),
            json=tuple((parse_json_path(p), value) for p, value in checks.get("json", {}).items()),
            max_time=checks.get("maxTime"),
            smallest=size.get("min"),
            largest=size.get("max"),
        )

    @property
    def needs_body(self) -> bool:
        return any(
            each is not None for each in (self.contains, self.lacks, self.regex, self.json or None)
        )

    def failure(self, answer: Answer, seconds: float) -> str | None:
        """The name of the first check that fails; None if all hold."""
        if self.status is not None and answer.status not in self.status:
            return f"{CHECK_FAILED} status {answer.status}"
        if any(text not in (answer.header(name) or "") for name, text in self.header):
            return f"{CHECK_FAILED} header"
        if self.needs_body and (failed := self._failure_of_body(answer)):
            return f"{CHECK_FAILED} {failed}"
        is_small = self.smallest is not None and answer.size < self.smallest
        if is_small or (self.largest is not None and answer.size > self.largest):
            return f"{CHECK_FAILED} size"
        if self.max_time is not None and seconds > self.max_time:
            return f"{CHECK_FAILED} time"
        return None

    def _failure_of_body(self, answer: Answer) -> str | None:
        try:
            is_right = (
                (self.contains is None or self.contains in answer.text)
                and (self.lacks is None or self.lacks not in answer.text)
                and (self.regex is None or search(self.regex, answer.text) is not None)
            )
        except Unusable as reason:
            return f"body ({reason})"
        try:
            return self._failure_of_json(answer) if is_right else "body"
        except Unusable as reason:
            return f"json ({reason})"

    def _failure_of_json(self, answer: Answer) -> str | None:
        for path, wanted in self.json:
            try:
                found = find_in_json(answer.document, path)
            except LookupError:
                return "json"
            if not is_same_json(found, wanted):
                return "json"
        return None


def is_same_json(one: Any, other: Any) -> bool:
    """Whether two JSON values are equal; unlike in Python, true is not 1."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(is_same_json, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(is_same_json(one[k], other[k]) for k in one)
    return bool(one == other)


@dataclass(frozen=True, slots=True)
class Extraction:
    """A variable, and where its value is in an answer."""

    variable: str
    json: JsonPath | None = None
    header: str | None = None
    regex: re.Pattern[str] | None = None

    @classmethod
    def all_of(cls, places: Mapping[str, Mapping[str, str]]) -> tuple[Self, ...]:
        return tuple(
            cls(
                variable,
                json=parse_json_path(place["json"]) if "json" in place else None,
                header=place.get("header"),
                regex=re.compile(place["regex"]) if "regex" in place else None,
            )
            for variable, place in places.items()
        )

    @property
    def needs_body(self) -> bool:
        return self.header is None

    def value(self, answer: Answer) -> str:
        """The value in an answer; raises Unusable, and LookupError where there is none."""
        found = self._find(answer)
        if found is None:
            raise LookupError
        if len(found) > _LONGEST_VALUE:
            raise Unusable("over 64 KiB")
        return found

    def _find(self, answer: Answer) -> str | None:
        if self.header is not None:
            return answer.header(self.header)
        if self.json is not None:
            value = find_in_json(answer.document, self.json)
            return value if value is None or isinstance(value, str) else json.dumps(value)
        assert self.regex is not None  # noqa: S101 - one of the three is there
        match = search(self.regex, answer.text)
        return None if match is None else match[1 if match.re.groups else 0]


def extract(extractions: Sequence[Extraction], answer: Answer, into: dict[str, str]) -> str | None:
    """Set the variables; return the name of the failure, None if all were found."""
    for extraction in extractions:
        try:
            into[extraction.variable] = extraction.value(answer)
        except LookupError:
            return f"{EXTRACTION_FAILED} {extraction.variable}"
        except Unusable as reason:
            return f"{EXTRACTION_FAILED} {extraction.variable} ({reason})"
    return None
