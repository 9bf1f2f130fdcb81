"""The bodies of Strait's errors."""

from __future__ import annotations

from typing import Any

from tm_cli.api.answers import Explanation

BILLING_CODES = frozenset({"quota_exceeded", "service_degraded"})
"""Errors of billing stand at the top of their document, without an envelope."""

MOST_DETAILS = 5


def explain_strait_error(document: Any) -> Explanation:
    """Read `{"error": {"code", "message", "details"}}` and the other forms that servers use.

    Decide on the HTTP status: many different errors carry the code `internal_error`.
    """
    if not isinstance(document, dict):
        return Explanation()
    error = document.get("error")
    if isinstance(error, str) and error:
        return Explanation(error, from_api=True)
    if isinstance(error, dict):
        code = _text(error.get("code"))
        return Explanation(_with_details(error), code, from_api=code is not None)
    code = _text(document.get("code"))
    return Explanation(_text(document.get("message")), code, from_api=code in BILLING_CODES)


def _with_details(error: dict[str, Any]) -> str | None:
    details = error.get("details")
    texts = [item for item in details if isinstance(item, str)] if isinstance(details, list) else []
    message = _text(error.get("message")) or _text(error.get("code"))
    if message is None or not texts:
        return message
    return f"{message}: {'; '.join(texts[:MOST_DETAILS])}"


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
