"""Spoilt answers of Runloop."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tests.simulation.bodies import (
    EMPTY_OBJECT,
    Edit,
    Spoil,
    as_json,
    edited,
    renamed,
    setting,
    without,
)
from tests.simulation.bodies import SPOILT as SHARED
from tests.simulation.messages import Reply
from tests.simulation.runloop.world import EARLIER_ID, OTHER_BENCHMARK

ODD_STATES = ("done", "finished", "success", "", "complete", "ended", "passed", "completed!")
MISTYPED: tuple[Any, ...] = (["completed"], {"state": "completed"}, True, 1, None, 2.5)
ODD_SCORES: tuple[Any, ...] = (1.5, -0.5, "0.9", True, [0.9], {"score": 1}, 1e308, None, "NaN")


def _objects(edit: Edit) -> Spoil:
    """Spoil every run or scenario run: the document itself, or each item of a list."""
    return edited(edit, lists=("runs",))


def _twice(reply: Reply, _arg: int) -> Reply:
    """Every state is there twice; the second one sounds good."""
    text = reply.body.decode()
    for bad in ("failed", "canceled", "running", "timeout"):
        text = text.replace(f'"state": "{bad}"', f'"state": "{bad}", "state": "completed"')
    return as_json(reply, text.replace("{", '{"id": "x", ', 1).encode())


def _nan_score(reply: Reply, _arg: int) -> Reply:
    """What Python's own reader takes for a number."""
    document = json.loads(reply.body)
    for item in document.get("runs", [document]):
        item["score"] = float("nan")
    return as_json(reply, json.dumps(document).encode())


def _page(edit: Callable[[dict[str, Any]], None]) -> Spoil:
    """Spoil what a list says of itself."""

    def spoil(reply: Reply, _arg: int) -> Reply:
        document = json.loads(reply.body)
        if "has_more" in document:
            edit(document)
        return as_json(reply, json.dumps(document).encode())

    return spoil


def _surrogate(row: dict[str, Any], _arg: int) -> None:
    row.update(purpose="\ud800", newField={"\ud83d": "\udfff"})


SPOILT: dict[str, Spoil] = {
    **SHARED,
    "repeated-state": _twice,
    "nan-score": _nan_score,
    "lone-surrogate": _objects(_surrogate),
    "no-state": _objects(without("state")),
    "odd-state": _objects(setting("state", ODD_STATES)),
    "mistyped-state": _objects(setting("state", MISTYPED)),
    "odd-score": _objects(setting("score", ODD_SCORES)),
    "no-score": _objects(without("score", "scoring_contract_result")),
    "no-id": _objects(without("id")),
    "blank-id": _objects(setting("id", ("",))),
    "mistyped-id": _objects(setting("id", (7, True, None, ["x"]))),
    "other-id": _objects(setting("id", ("bmr_999",))),
    "old-id": _objects(setting("id", (EARLIER_ID,))),
    "old-unmarked": _objects(
        lambda row, _: row.update(id=EARLIER_ID, metadata={}, name=None, state="running")
    ),
    "unmarked": _objects(lambda row, _: row.update(metadata={}, name=None)),
    "other-benchmark": _objects(setting("benchmark_id", (OTHER_BENCHMARK,))),
    "no-benchmark": _objects(without("benchmark_id")),
    "other-run": _objects(setting("benchmark_run_id", (EARLIER_ID, "bmr_999"))),
    "other-mark": _objects(setting("metadata", ({"tm_start": "of-another"}, {}, None))),
    "more": _page(lambda page: page.update(has_more=True)),
    "no-more": _page(lambda page: page.update(has_more=False)),
    "empty-more": _page(lambda page: page.update(has_more=True, runs=[])),
    "no-has-more": _page(lambda page: page.pop("has_more")),
    "odd-has-more": _page(lambda page: page.update(has_more="false")),
    "no-items": _page(lambda page: page.update(runs=[], has_more=False)),
    "fewer-items": _page(lambda page: page.update(runs=page["runs"][:-1])),
    "renamed-runs": renamed("runs", "rows"),
    "empty-object": EMPTY_OBJECT,
}

DECISIVE = frozenset(SPOILT) - frozenset(SHARED) - {"nan-score", "lone-surrogate"} | {"wrapped"}
"""Well-formed answers that say something wrong: tm may believe them, as long as it never passes."""
