"""Which messages of a run's stream make a look at the run worth while; pure.

What a stream says is never believed, and much is never said: it only makes tm ask sooner.
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
    """Whether a message may speak of a new status.

    What cannot be read may. Reports of job code, of which there can be thousands, do not.
    """
    message = read_message(data)
    return message is None or message.get("type") not in {"event", "stream_chunk"}
