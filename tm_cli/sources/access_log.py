"""Reads access logs of web servers: when requests came, of which methods and paths.

Addresses, users, queries and agents of the log are not kept; ids and secrets in paths become a
macro.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from tm_cli.sources.privacy import ASSET, clean_text, template_of, without_markers
from tm_cli.sources.traffic import SourceRequest, Traffic, UnusableSource, is_http_url, read_json

MOST_STEPS = 30
"""So many of the most frequent requests become steps."""
MOST_POINTS = 120
_MOST_KINDS = 10_000
_MOST_MOMENTS = 100_000
_METHODS = {"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"}
_COMBINED = re.compile(
    r'\S+ \S+ .*?\[(?P<time>[^\[\]]{1,60})\] "(?P<request>(?:[^"\\]|\\.)*)" (?P<status>\d{3}) '
)
_CLF_TIME = "%d/%b/%Y:%H:%M:%S %z"
_JSON_TIMES = ("time", "timestamp", "@timestamp", "ts", "time_iso8601", "time_local", "StartUTC")
_JSON_METHODS = (
    "method", "request_method", "RequestMethod", "requestMethod", "verb", "http_method",
    "http.request.method", "cs-method",
)  # fmt: skip
_JSON_PATHS = (
    "uri", "request_uri", "path", "RequestPath", "requestUrl", "url", "target", "url.path",
    "cs-uri-stem",
)  # fmt: skip
_PATTERNS = {
    "time_local": r"[^\]\"]{1,60}?",
    "time_iso8601": r"\S+",
    "msec": r"[\d.]+",
    "request": r"(?:[^\"\\]|\\.)*",
    "request_method": r"\S+",
    "request_uri": r"\S+",
    "uri": r"\S+",
    "status": r"\d{3}",
}
_NAMES = {
    "time_local": "time",
    "time_iso8601": "time",
    "msec": "time",
    "request": "request",
    "request_method": "method",
    "request_uri": "target",
    "uri": "target",
    "status": "status",
}


@dataclass(slots=True)
class LoggedMix:
    """How often each method and path template came, and in which seconds.

    `seconds` are multiples of `width`, which grows with the time that the log covers. `others` are
    the rarest kinds, where there are too many to keep.
    """

    kinds: Counter[tuple[str, str]] = field(default_factory=Counter)
    seconds: Counter[int] = field(default_factory=Counter)
    damaged: int = 0
    first_damaged: int | None = None
    assets: int = 0
    others: int = 0
    width: int = 1

    @property
    def total(self) -> int:
        return self.kinds.total() + self.others

    def count(self, second: int, kind: tuple[str, str]) -> None:
        self.kinds[kind] += 1
        if len(self.kinds) > 4 * _MOST_KINDS:
            kept = Counter(dict(self.kinds.most_common(_MOST_KINDS)))
            self.others += self.kinds.total() - kept.total()
            self.kinds = kept
        self.seconds[second - second % self.width] += 1
        if len(self.seconds) > _MOST_MOMENTS:
            self._widen()

    def _widen(self) -> None:
        self.width *= 2
        counts: Counter[int] = Counter()
        for second, count in self.seconds.items():
            counts[second - second % self.width] += count
        self.seconds = counts


def pattern_of(log_format: str) -> re.Pattern[str]:
    """The pattern of a line in an nginx `log_format`; raises UnusableSource."""
    parts, seen = [], set[str]()
    words = re.split(r"\$(\w+|\{\w+\})", log_format)
    for at, part in enumerate(words):
        name = part.strip("{}")
        if at % 2 == 0:
            parts.append(re.escape(part))
        elif (group := _NAMES.get(name)) and group not in seen:
            seen.add(group)
            parts.append(f"(?P<{group}>{_PATTERNS[name]})")
        else:
            parts.append(_unnamed(words[at + 1][:1]))
    if "time" not in seen or not seen & {"request", "target"}:
        raise UnusableSource(
            "the format needs $time_local (or $msec) and $request (or $request_uri)"
        )
    return re.compile("".join(parts))


def _unnamed(following: str) -> str:
    """Any value, such as a list with commas, up to the character that follows it."""
    value = rf'[^"\n{re.escape(following)}]*'
    return f"{value}(?:, {value})*" if following == " " else value + "?" * (not following)


def read_mix(
    lines: Iterable[str], *, pattern: re.Pattern[str] | None = None, include_assets: bool = False
) -> LoggedMix:
    """Count the lines of a log, in one pass and bounded memory; raises UnusableSource."""
    mix = LoggedMix()
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        found = _entry(line, pattern)
        if found is None:
            mix.damaged += 1
            mix.first_damaged = mix.first_damaged or number
            continue
        second, method, path = found
        if not include_assets and ASSET.search(path):
            mix.assets += 1
            continue
        mix.count(second, (method, template_of(path)))
    if not mix.total:
        line = f"line {mix.first_damaged} is none" if mix.first_damaged else "it is empty"
        raise UnusableSource(f"no line of it is a request of an access log: {line}")
    return mix


def _entry(line: str, pattern: re.Pattern[str] | None) -> tuple[int, str, str] | None:
    """Second, method and path of a line; None when it has none of a known form."""
    fields: dict[str, Any]
    if pattern is None and line.lstrip().startswith("{"):
        fields = _json_fields(line)
    else:
        match = (pattern or _COMBINED).match(line)
        fields = match.groupdict() if match else {}
    if fields.get("request"):
        words = str(fields["request"]).split(" ")
        if len(words) < 2:
            return None
        fields |= {"method": words[0], "target": words[1]}
    is_known = pattern is not None and "method" not in pattern.groupindex
    method = str(fields.get("method") or ("GET" if is_known else "")).upper()
    target = str(fields.get("target") or "")
    second = _second(str(fields.get("time")))
    path = _path(target.partition("?")[0].partition("#")[0])
    return (
        None if second is None or path is None or method not in _METHODS else (second, method, path)
    )


def _json_fields(line: str) -> dict[str, Any]:
    try:
        document = read_json(line)
    except ValueError:
        return {}
    if not isinstance(document, dict):
        return {}
    inner = document.get("request", document.get("httpRequest"))
    if isinstance(inner, dict):  # such as Caddy's, or that of Google Cloud
        document = {**document, **inner}

    def first(names: tuple[str, ...]) -> Any:
        return next((document[name] for name in names if document.get(name) is not None), None)

    fields = {
        "time": first(_JSON_TIMES),
        "method": first(_JSON_METHODS),
        "target": first(_JSON_PATHS),
    }
    return fields | ({"request": inner} if isinstance(inner, str) else {})


@lru_cache(maxsize=64)
def _second(value: str) -> int | None:
    """Seconds since 1970; a time without a zone counts as UTC."""
    try:
        number = float(value)
        if not math.isfinite(number):
            return None
        while number > 1e11:  # milliseconds, microseconds, nanoseconds
            number /= 1000
        return int(number) if number > 0 else None
    except (ValueError, OverflowError):
        pass
    for read in (datetime.fromisoformat, lambda text: datetime.strptime(text, _CLF_TIME)):
        try:
            moment = read(value)
        except ValueError:
            continue
        return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
    return None


@lru_cache(maxsize=1000)
def _path(target: str) -> str | None:
    """The path of a request, in which nothing begins a placeholder or a macro."""
    is_absolute = not target.startswith("/") and is_http_url(target)
    path = (urlsplit(target).path or "/") if is_absolute else target
    if not path.startswith("/") or path.startswith("//") or len(path) > 1000:
        return None
    return "/".join(map(_segment, path.split("/")))


def _segment(text: str) -> str:
    if not text or (len(text) < 20 and text.isascii() and text.isalpha()):  # as most are
        return text
    decoded = unquote(text, errors="replace")
    if clean_text(decoded) != decoded:
        return "$$id$$"
    return quote(without_markers(text), safe="%:@!$&'()*+,;=~")


def traffic_of(mix: LoggedMix, *, scale: float = 1.0) -> Traffic:
    """The requests as a mix, and the curve by which they came, times `scale`."""
    shown = mix.kinds.most_common(MOST_STEPS)
    requests = [SourceRequest(method, path, weight=count) for (method, path), count in shown]
    kept = sum(count for _, count in shown)
    notes = _notes(mix, kept)
    columns = ["id"] if any("$$id$$" in request.url for request in requests) else []
    points = curve_of(mix.seconds, scale * kept / mix.total)
    return Traffic(requests, points=points, columns=columns, notes=notes)


def _notes(mix: LoggedMix, kept: int) -> list[str]:
    rare = mix.total - kept
    damaged = f"lines that could not be read: {mix.damaged}, the first is line {mix.first_damaged}"
    counts = {
        damaged: mix.damaged,
        f"left out: {mix.assets} for images, scripts and the like (--include-assets)": mix.assets,
        f"left out: {rare} of rarer kinds": rare,
    }
    return [note for note, count in counts.items() if count]


def curve_of(seconds: Counter[int], scale: float) -> list[tuple[int, float]]:
    """Points of a curve with the rate at which requests came, in stretches of equal length."""
    first, last = min(seconds), max(seconds)
    span = max(last - first + 1, 10)
    width = max(-(-span // MOST_POINTS), min(10, span))
    counts: Counter[int] = Counter()
    for second, count in seconds.items():
        counts[(second - first) // width] += count
    stretches = -(-span // width)
    rates = [counts[index] / width * scale for index in range(stretches)]
    middles = [(min(index * width + width // 2, span), rates[index]) for index in range(stretches)]
    return [(0, rates[0]), *middles, (stretches * width, rates[-1])]


def lines_of(chunks: Iterator[bytes], longest: int = 64 * 1024) -> Iterator[str]:
    """The lines of a log; one that is longer than `longest` bytes is cut off."""
    rest, is_cut = b"", False
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            if not is_cut:
                yield line[:longest].decode("utf-8", "replace")
            is_cut = False
        if len(rest) > longest:
            if not is_cut:
                yield rest[:longest].decode("utf-8", "replace")
            rest, is_cut = b"", True
    if rest and not is_cut:
        yield rest.decode("utf-8", "replace")
