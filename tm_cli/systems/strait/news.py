"""Which messages of a run's event stream trigger a poll.

A stream decides nothing and leaves much out: it only makes tm poll sooner.
"""

from __future__ import annotations

from typing import Any

from tm_cli.api import strict_json


def read_message(data: str) -> dict[str, Any] | None:
    """Return what a message carries; None when it cannot be read."""
    try:
        document = strict_json.parse_answer(data)
    except ValueError:
        return None
    return document if isinstance(document, dict) else None


def is_news(data: str) -> bool:
    """Whether a message may be about a new status.

    One that cannot be read may. Those of job code, of which there can be thousands, are not.
    """
    message = read_message(data)
    return message is None or message.get("type") not in {"event", "stream_chunk"}
