"""What an answer means: JSON of the API, an error that its body explains, or neither."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tm_cli.api import strict_json
from tm_cli.api.errors import HttpError, InvalidResponse
from tm_cli.api.retry import describe_pause, read_retry_after
from tm_cli.values.api_key import hide, hide_in_answer
from tm_cli.values.text import sanitize

REQUEST_ID_HEADER = "x-request-id"
LONGEST_ID = 100
"""Characters of a request id that are shown."""


@dataclass(frozen=True, slots=True)
class RawAnswer:
    """What came back: `where` names the request; header names are lower-case."""

    where: str
    status: int
    headers: Mapping[str, str]
    content: bytes


@dataclass(frozen=True, slots=True)
class ErrorBody:
    """The body of an error: a sentence and a code for programs, as the server wrote them.

    `from_api` says that the body is the API's own, not that of a gateway in front of it.
    """

    text: str | None = None
    code: str | None = None
    from_api: bool = False


ErrorReader = Callable[[Any], ErrorBody]
"""Reads the parsed JSON of an error; None stands for a body that is not JSON."""


def read_error(document: Any) -> ErrorBody:
    """Read `{"error": sentence, "code": word}`, as TrafficMorph writes it (section 5)."""
    envelope = document if isinstance(document, dict) else {}
    text, code = envelope.get("error") or envelope.get("message"), envelope.get("code")
    return ErrorBody(
        text if isinstance(text, str) else None,
        code if isinstance(code, str) and code else None,
        from_api=isinstance(envelope.get("error"), str),
    )


def decode_body(content: bytes, encoding: str, most: int) -> bytes:
    """Return a body without the `Content-Encoding` that proxies add although tm asks for none.

    Empty, `identity` and a charset, which does not belong there, are no encoding. Raises ValueError
    for an encoding that tm does not know, for a body that is not in it, and for more than `most`
    bytes.
    """
    names = [name.strip().lower().removeprefix("x-") for name in encoding.split(",")]
    codings = [name for name in names if name not in _NO_CODINGS and not _is_charset(name)]
    if len(codings) > MOST_CODINGS or not set(codings) <= {"gzip", "deflate"}:
        raise ValueError(f"its encoding is {sanitize(encoding)}")
    for name in reversed(codings if content else []):
        is_raw = name == "deflate" and (content[0] & 0x0F != 8 or int.from_bytes(content[:2]) % 31)
        window = 31 if name == "gzip" else -15 if is_raw else 15  # RFC 1952, RFC 1951, RFC 1950
        content = _inflate(content, window, most)
    return content


MOST_CODINGS = 3
_NO_CODINGS = frozenset({"", "identity", "none"})


def _is_charset(name: str) -> bool:
    try:
        "".encode(name)
    except (LookupError, ValueError):
        return False
    return True


def _inflate(content: bytes, window: int, most: int) -> bytes:
    found = b""
    while content:
        part = zlib.decompressobj(window)
        try:
            found += part.decompress(content, most + 1 - len(found))
        except zlib.error:
            raise ValueError("it is not in the encoding that its head names") from None
        if len(found) > most:
            raise ValueError("it is too large")
        if not part.eof:
            raise ValueError("it is cut")
        content = part.unused_data if window > zlib.MAX_WBITS else b""  # gzip can have members
    return found


def parse_response(
    answer: RawAnswer,
    explain: ErrorReader = read_error,
    *,
    secret: str = "",
    accepts_empty: bool = False,
) -> Any:
    """Return the JSON of a 2xx answer; None for 204, and for no body where that is an answer.

    Where the server sends the `secret` back, stars stand in its place. Raises HttpError for an
    error status, and InvalidResponse for what the API cannot have sent.
    """
    status, where = answer.status, answer.where
    if 300 <= status < 400:
        raise InvalidResponse(
            f"{where} redirects to {_header(answer, 'location', secret) or 'nowhere'}",
            hint="redirects are not followed, because the key would go along; fix the base URL",
        )
    if status >= 400:
        raise _http_error(answer, explain, secret)
    if status == 204:
        return None
    if status not in {200, 201, 202}:
        raise InvalidResponse(f"{where} answered with the unexpected status {status}")
    if accepts_empty and not answer.content.strip():
        return None
    if not _is_json(answer):
        kind = _header(answer, "content-type", secret) or "a body without a Content-Type"
        raise InvalidResponse(
            f"{where} answered with {kind} instead of JSON",
            hint="a login page or a proxy may answer in the server's place",
        )
    try:
        return _parsed(answer, secret)
    except ValueError as problem:
        reason = sanitize(hide(str(problem), secret))
        raise InvalidResponse(f"{where} answered with unusable JSON: {reason}") from None


def read_request_id(answer: RawAnswer, secret: str) -> str | None:
    """Return what the server calls the request, as the body of an error or a header has it."""
    document = _json_or_none(answer, secret)
    known = document if isinstance(document, dict) else {}
    named = known.get("request_id") or known.get("requestId")
    text = named if isinstance(named, str) else _header(answer, REQUEST_ID_HEADER, secret)
    return sanitize(text, longest=LONGEST_ID) or None


def _parsed(answer: RawAnswer, secret: str) -> Any:
    document = strict_json.parse_answer(answer.content)
    try:
        return hide_in_answer(document, secret)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _header(answer: RawAnswer, name: str, secret: str) -> str:
    return sanitize(hide(answer.headers.get(name, ""), secret))


def _http_error(answer: RawAnswer, explain: ErrorReader, secret: str) -> HttpError:
    status, body = answer.status, explain(_json_or_none(answer, secret))
    api_code = sanitize(body.code) if body.code else None
    shown = f"HTTP {status}" + (f", code={hide(api_code, secret)}" if api_code else "")
    message = (
        f"{sanitize(hide(body.text, secret))} ({shown})"
        if body.text
        else f"the server answered {shown}"
    )
    retry_after = read_retry_after(answer.headers)
    hint = _HINTS.get(api_code or sanitize(body.text or "")) or _HINTS.get(str(status))
    if hint is None and status == 429:
        pause = describe_pause(retry_after) if retry_after else "a minute"
        hint = f"the account's request budget is used up; wait {pause}"
    return HttpError(
        message,
        status=status,
        api_code=api_code,
        from_api=body.from_api,
        media_type=_media_type(answer),
        retry_after=retry_after,
        hint=hint,
    )


def _json_or_none(answer: RawAnswer, secret: str) -> Any:
    try:
        return _parsed(answer, secret) if _is_json(answer) else None
    except ValueError:
        return None


_HINTS = {
    "401": "check the key: `tm config show` tells where it comes from",
    "403": "the key is known, but it may not do this",
    "PLAN_UPGRADE_REQUIRED": "the account's plan does not include the API",
    "trial_expired": "the account's trial is over",
    "USAGE_LIMIT_REACHED": "the account's requests of this month are used up",
}


def _media_type(answer: RawAnswer) -> str:
    return answer.headers.get("content-type", "").partition(";")[0].strip().lower()


def _is_json(answer: RawAnswer) -> bool:
    kind = _media_type(answer)
    return kind == "application/json" or (
        kind.startswith("application/") and kind.endswith("+json")
    )
