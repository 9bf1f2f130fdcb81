"""What an answer means: JSON of the API, an error that it explains, or neither. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tm_cli.api import strict_json
from tm_cli.api.errors import HttpError, NotUnderstood
from tm_cli.api.retry import read_retry_after
from tm_cli.text import clean


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: `where` names the request; header names are lower-case."""

    where: str
    status: int
    headers: Mapping[str, str]
    content: bytes


def understand(answer: Answer) -> Any:
    """Return the JSON of a 2xx answer; None for 204.

    Raises HttpError for an error status, and NotUnderstood for what the API cannot have sent.
    """
    status, where = answer.status, answer.where
    if 300 <= status < 400:
        raise NotUnderstood(
            f"{where} redirects to {clean(answer.headers.get('location', 'nowhere'))}",
            hint="redirects are not followed, because the key would go along; fix the base URL",
        )
    if status >= 400:
        raise _http_error(answer)
    if status == 204:
        return None
    if status not in {200, 201, 202}:
        raise NotUnderstood(f"{where} answered with the unexpected status {status}")
    if not _is_json(answer):
        kind = clean(answer.headers.get("content-type", "nothing"))
        raise NotUnderstood(
            f"{where} answered with {kind} instead of JSON",
            hint="a login page or a proxy may answer in the server's place",
        )
    try:
        return strict_json.parse(answer.content)
    except ValueError as problem:
        raise NotUnderstood(f"{where} answered with unusable JSON: {clean(problem)}") from None


def _http_error(answer: Answer) -> HttpError:
    status, envelope = answer.status, {}
    try:
        document = strict_json.parse(answer.content) if _is_json(answer) else None
        envelope = document if isinstance(document, dict) else {}
    except ValueError:
        pass
    text = envelope.get("error") or envelope.get("message")
    code = envelope.get("code")
    api_code = clean(code) if isinstance(code, str) and code else None
    shown = f"HTTP {status}" + (f", code={api_code}" if api_code else "")
    message = (
        f"{clean(text)} ({shown})" if isinstance(text, str) else f"the server answered {shown}"
    )
    return HttpError(
        message,
        status=status,
        api_code=api_code,
        from_api=isinstance(envelope.get("error"), str),
        retry_after=read_retry_after(answer.headers),
        hint=_HINTS.get(api_code or clean(text) or "") or _HINTS.get(str(status)),
    )


_HINTS = {
    "401": "check the key: `tm config show` tells where it comes from",
    "403": "the key is known, but it may not do this",
    "PLAN_UPGRADE_REQUIRED": "the account's plan does not include the API",
    "trial_expired": "the account's trial is over",
    "USAGE_LIMIT_REACHED": "the account's requests of this month are used up",
    "429": "the account's request budget is used up; wait a minute",
}


def _is_json(answer: Answer) -> bool:
    kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind == "application/json" or (
        kind.startswith("application/") and kind.endswith("+json")
    )
