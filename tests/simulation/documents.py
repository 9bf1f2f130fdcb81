"""JSON without tm's code: written in different spellings, and read by rules of our own."""

from __future__ import annotations

import json
import math
import random
from typing import Any

from tests.simulation.messages import Reply


def document(reply: Reply | None) -> Any:
    """The JSON of a proper answer; None for whatever else."""
    if reply is None or reply.status not in {200, 201, 202}:
        return None
    if reply.headers.get("content-type", "").partition(";")[0] != "application/json":
        return None
    if "content-encoding" in reply.headers:
        return None
    try:
        return json.loads(
            reply.body.decode("utf-8-sig"),
            object_pairs_hook=_strict,
            parse_constant=_refuse,
            parse_float=_finite,
        )
    except (ValueError, RecursionError):
        return None


def _strict(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) != len(pairs):
        raise ValueError("a repeated key")
    return dict(pairs)


def _refuse(name: str) -> Any:
    raise ValueError(name)


def _finite(text: str) -> float:
    if not math.isfinite(value := float(text)):
        raise ValueError(text)
    return value


def spelt(document: Any, style: random.Random | None) -> bytes:
    """The document as JSON; with a style in another spelling, which must mean the same."""
    if style is None:
        return json.dumps(document).encode()
    separators = style.choice([(",", ":"), (" ,\n", " :\t")])
    return json.dumps(_respelt(document, style), separators=separators).encode()


def _respelt(document: Any, chance: random.Random) -> Any:
    """The same document with its keys in another order, and with fields of a newer server."""
    if isinstance(document, list):
        return [_respelt(item, chance) for item in document]
    if not isinstance(document, dict):
        return document
    items = [(key, _respelt(value, chance)) for key, value in document.items()]
    items.append((f"newField{chance.randrange(9)}", chance.choice([None, "PASS", {"runId": "x"}])))
    cut = chance.randrange(len(items))
    return dict(items[cut:] + items[:cut])
