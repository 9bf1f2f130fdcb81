"""The outcome as one HTML page: no network, readable without JavaScript, evidence inside."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tm_cli.gate.outcome import Evidence

EVIDENCE = "tm-evidence"
"""The id of the element that holds the JSON document."""


def html(evidence: Evidence, document: Mapping[str, Any]) -> str:
    """Return a page about the evidence; `document` is its JSON form, which the page embeds.

    No text of a server is obeyed: no markup, no link, no script.
    """
    from tm_cli.render.html.page import page

    return page(evidence, document)
