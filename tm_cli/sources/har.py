"""Reads HAR files (HTTP Archive 1.2), which browsers export."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlencode, urlsplit

from tm_cli.sources.privacy import ASSET, clean_body, clean_headers, clean_url
from tm_cli.sources.traffic import (
    SourceRequest,
    Traffic,
    UnusableSource,
    is_http_url,
    read_json,
    usual_origin,
)
from tm_cli.values.load.journeys.steps import METHODS

_ASSET_TYPES = {"image", "font", "stylesheet", "script", "media", "manifest", "ping"}
_DATA_TYPES = {"document", "xhr", "fetch"}
_OPEN_ENDED = {"websocket", "eventsource"}
_ASSET_CONTENT = re.compile(
    r"(image|font|audio|video)/|text/css|[a-z]+/(x-)?(java|ecma)script|application/(wasm|font|manifest)"
)
_SHORTEST_THINK, _LONGEST_THINK = 0.5, 60.0


def read_har(text: str, *, host: str | None = None, include_assets: bool = False) -> Traffic:
    """Read the requests to one host, by default the one that has got most; raises UnusableSource.

    Without `include_assets` images, style sheets, scripts and the like are left out.
    """
    listed = list(_entries(text))
    entries = [entry for entry in listed if not _was_not_sent(entry)]
    wanted = [entry for entry in entries if include_assets or not _is_asset(entry)]
    origin = _origin(wanted, host)
    found = [entry for entry in wanted if _origin_of(entry) == origin]
    own = [entry for entry in found if not _has_lost_form(entry)]
    if not own:
        raise UnusableSource(f"it has no requests to {host}" if host else "it has no requests")
    requests, has_cookies, before = [], False, None
    for entry in sorted(own, key=lambda entry: _began(entry) or 0.0):
        requests.append(_request(entry, _gap(before, entry)))
        has_cookies |= any(h["name"].lower() == "cookie" for h in _headers(entry))
        before = entry
    left_out = {
        "that were blocked, cached, streams, or of unusual methods": len(listed) - len(entries),
        "for images, scripts and the like (--include-assets)": len(entries) - len(wanted),
        "to other hosts": len(wanted) - len(found),
        "with a multipart form that the file does not hold": len(found) - len(own),
    }
    notes = [f"left out: {count} {what}" for what, count in left_out.items() if count]
    return Traffic(requests, origin, has_cookies=has_cookies, notes=notes)


def _entries(text: str) -> Iterator[Mapping[str, Any]]:
    try:
        document = read_json(text)
    except json.JSONDecodeError as problem:
        raise UnusableSource(f"it is not JSON: {problem.msg}", problem.lineno) from None
    except ValueError as problem:
        raise UnusableSource(f"it is not JSON: {problem}") from None
    log = document.get("log") if isinstance(document, dict) else None
    entries = log.get("entries") if isinstance(log, dict) else None
    if not isinstance(entries, list):
        raise UnusableSource("it is not a HAR file: log.entries is missing")
    for entry in entries:
        request = entry.get("request") if isinstance(entry, dict) else None
        if not isinstance(request, dict) or not isinstance(request.get("url"), str):
            continue
        if is_http_url(request["url"]) and "$" not in urlsplit(request["url"]).netloc:
            yield entry


def _was_not_sent(entry: Mapping[str, Any]) -> bool:
    """Whether it was blocked, came from a cache, or was no request with an end."""
    status = _response(entry).get("status")
    is_cached = entry.get("_fromCache") or "cache" in str(entry.get("_fetchType", "")).lower()
    kind = str(entry.get("_resourceType", "")).lower()
    method = str(entry["request"].get("method") or "GET").upper()
    return status in (0, None) or bool(is_cached) or kind in _OPEN_ENDED or method not in METHODS


def _response(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    response = entry.get("response")
    return response if isinstance(response, dict) else {}


def _is_asset(entry: Mapping[str, Any]) -> bool:
    kind = str(entry.get("_resourceType", "")).lower()
    content = _response(entry).get("content")
    media = str(content.get("mimeType", "")).lower() if isinstance(content, dict) else ""
    if kind in _ASSET_TYPES or (kind not in _DATA_TYPES and _ASSET_CONTENT.match(media)):
        return True
    return bool(ASSET.search(urlsplit(entry["request"]["url"]).path))


def _origin_of(entry: Mapping[str, Any]) -> str:
    parts = urlsplit(entry["request"]["url"])
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _origin(entries: list[Mapping[str, Any]], host: str | None) -> str:
    origins = [_origin_of(entry) for entry in entries]
    if host is None:
        return usual_origin(SourceRequest("GET", origin) for origin in origins)
    return next((o for o in origins if host in (o, o.partition("://")[2])), host)


def _began(entry: Mapping[str, Any]) -> float | None:
    try:
        return datetime.fromisoformat(str(entry["startedDateTime"])).timestamp()
    except (KeyError, ValueError, OverflowError):
        return None


def _gap(before: Mapping[str, Any] | None, entry: Mapping[str, Any]) -> float:
    """Seconds between the end of a request and the next one, if that looks like a person."""
    if before is None:
        return 0.0
    began, last = _began(entry), _began(before)
    took = before.get("time")
    if began is None or last is None or not isinstance(took, int | float):
        return 0.0
    gap = began - last - took / 1000
    return round(min(gap, _LONGEST_THINK), 1) if gap >= _SHORTEST_THINK else 0.0


def _headers(entry: Mapping[str, Any]) -> list[dict[str, str]]:
    found = entry["request"].get("headers")
    pairs = found if isinstance(found, list) else []
    return [
        {"name": str(pair.get("name", "")), "value": str(pair.get("value", ""))}
        for pair in pairs
        if isinstance(pair, dict)
    ]


def _request(entry: Mapping[str, Any], think: float) -> SourceRequest:
    request = entry["request"]
    body = _body(entry)
    return SourceRequest(
        str(request.get("method") or "GET").upper(),
        clean_url(request["url"]),
        clean_headers({pair["name"]: pair["value"] for pair in _headers(entry)}),
        clean_body(body) if body else None,
        think=think,
        at=_began(entry),
    )


def _posted(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    posted = entry["request"].get("postData")
    return posted if isinstance(posted, dict) else {}


def _has_lost_form(entry: Mapping[str, Any]) -> bool:
    posted = _posted(entry)
    return "multipart" in str(posted.get("mimeType")).lower() and not posted.get("text")


def _body(entry: Mapping[str, Any]) -> str:
    """What was posted, or its parameters as a form: tools write one or the other."""
    posted = _posted(entry)
    text, pairs = posted.get("text"), posted.get("params")
    if isinstance(text, str) and text:
        return text
    named = [pair for pair in pairs if isinstance(pair, dict)] if isinstance(pairs, list) else []
    return urlencode([(str(each.get("name", "")), str(each.get("value", ""))) for each in named])
