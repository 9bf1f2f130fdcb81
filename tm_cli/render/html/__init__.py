"""The outcome as one HTML page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tm_cli.gate.outcome import GateOutcome


def html(outcome: GateOutcome, document: Mapping[str, Any]) -> str:
    """Return the page; `document` is the JSON form of the outcome, which the page embeds.

    No text of a server is obeyed: no markup, no link, no script.
    """
    from tm_cli.render.html.page import page

    return page(outcome, document)
