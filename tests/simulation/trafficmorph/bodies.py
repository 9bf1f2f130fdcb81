"""Spoilt answers of TrafficMorph."""

from __future__ import annotations

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
from tests.simulation.trafficmorph.world import OTHER_PROFILE

ODD_VERDICTS = (
    "ERROR", "pass", " PASS", "PASS ", "PASS\u200b", "ＰＡＳＳ", "PAſſ", "PASSED", "UNKNOWN",
    "OK", "null", "\u0000PASS", "PASS\n",
)  # fmt: skip
MISTYPED_VERDICTS: tuple[Any, ...] = (["PASS"], {"verdict": "PASS"}, True, 1, 0, 2.5, [], {}, False)
MISTYPED_RUN_IDS: tuple[Any, ...] = (7, 7.0, True, ["x"], {"id": "x"})
ODD_STATES = ("DONE", "running", "FINISHED", "", "PENDING", "Running ")


def _rows(edit: Edit) -> Spoil:
    """Spoil every object that stands for a run: the document itself, or each row of a page."""
    return edited(edit, lists=("content",))


def _twice(reply: Reply, arg: int) -> Reply:
    """Every verdict, run id and status is there twice; the second one sounds good."""
    text = reply.body.decode()
    for field, good in (("autoVerdict", "PASS"), ("status", "COMPLETED"), ("runId", "ours-2")):
        text = text.replace(f'"{field}":', f'"{field}": "{good}", "{field}":', 1 + arg % 2)
    return as_json(reply, text.encode())


def _twice_well(reply: Reply, _arg: int) -> Reply:
    """A repeated key whose last value is the good one."""
    text = reply.body.decode().replace('"FAIL"', '"FAIL", "autoVerdict": "PASS"')
    return as_json(reply, text.replace("{", '{"id": 1, ', 1).encode())


def _surrogate(row: dict[str, Any], _arg: int) -> None:
    """Half a character, which JSON can spell and UTF-8 cannot; it must not cost the verdict."""
    row.update(profileName="check\ud800out", unknownField="\udfff", tags=["\ud83d"])


SPOILT: dict[str, Spoil] = {
    **SHARED,
    "repeated-key": _twice,
    "repeated-verdict": _twice_well,
    "lone-surrogate": _rows(_surrogate),
    "no-verdict": _rows(without("autoVerdict")),
    "null-verdict": _rows(setting("autoVerdict", (None,), adds=True)),
    "mistyped-verdict": _rows(setting("autoVerdict", MISTYPED_VERDICTS)),
    "odd-verdict": _rows(setting("autoVerdict", ODD_VERDICTS)),
    "mistyped-run-id": _rows(setting("runId", MISTYPED_RUN_IDS)),
    "other-run-id": _rows(setting("runId", ("never-heard-of",))),
    "padded-run-id": _rows(lambda row, _: row.update(runId=f"{row.get('runId')} ")),
    "no-run-id": _rows(without("runId")),
    "blank-run-id": _rows(setting("runId", (" ", "", "\t"))),
    "old-run-id": _rows(setting("runId", ("earlier-1", "earlier-0"))),
    "other-profile": _rows(setting("profileId", (OTHER_PROFILE,))),
    "odd-state": _rows(setting("status", ODD_STATES)),
    "no-state": _rows(without("status")),
    "empty-object": EMPTY_OBJECT,
    "renamed-content": renamed("content", "items"),
    "mistyped-ids": _rows(setting("id", ("7", 7.0, True, None, 2**70))),
}

DECISIVE = frozenset(
    {
        "odd-verdict", "mistyped-verdict", "mistyped-run-id", "other-run-id", "padded-run-id",
        "no-run-id", "blank-run-id", "old-run-id", "other-profile", "odd-state", "no-state",
        "empty-object", "mistyped-ids", "repeated-verdict", "renamed-content", "null-verdict",
        "no-verdict", "wrapped",
    }
)  # fmt: skip
"""Well-formed answers that say something wrong: tm may believe them, as long as it never passes."""
