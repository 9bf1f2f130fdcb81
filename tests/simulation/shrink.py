"""Makes a failing schedule small: whatever can go without losing the violation goes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any

from tests.simulation.recorder import Recording
from tests.simulation.schedules import Schedule

Fails = Callable[[Schedule], bool]


def shrink(schedule: Schedule, fails: Fails, *, attempts: int = 400) -> Schedule:
    """Return a smaller schedule that `fails` still accepts."""
    progress = True
    while progress and attempts > 0:
        progress = False
        for smaller in _smaller(schedule):
            attempts -= 1
            if fails(smaller):
                schedule, progress = smaller, True
                break
    return schedule


def _smaller(schedule: Schedule) -> Iterator[Schedule]:
    for index in range(len(schedule.blows)):
        left = (*schedule.blows[:index], *schedule.blows[index + 1 :])
        yield replace(schedule, blows=left)
    for endpoint, faults in schedule.plan.items():
        others = {name: plan for name, plan in schedule.plan.items() if name != endpoint}
        yield replace(schedule, plan=others)
        for index, fault in enumerate(faults):
            yield replace(
                schedule, plan={**others, endpoint: (*faults[:index], *faults[index + 1 :])}
            )
            if fault is not None:
                passing = (*faults[:index], None, *faults[index + 1 :])
                yield replace(schedule, plan={**others, endpoint: passing})
    usual = Schedule(schedule.seed, schedule.truth)
    for name in ("style", "uses_region", "interval", "wait_timeout", "verdict_timeout"):
        if getattr(schedule, name) != getattr(usual, name):
            yield replace(schedule, **{name: getattr(usual, name)})
    for part in ("truth", "wish"):
        for simpler in _simpler(getattr(schedule, part)):
            yield replace(schedule, **{part: simpler})


def _simpler(setting: Any) -> Iterator[Any]:
    """The same with one field as usual; what the truth is all about stays."""
    if is_dataclass(setting):
        for field in fields(setting):
            if field.name != "verdict" and getattr(setting, field.name) != field.default:
                yield replace(setting, **{field.name: field.default})


def narrate(schedule: Schedule, recording: Recording, wrong: list[str]) -> str:
    """Tell a failing schedule so that somebody can repeat it and see what happened."""
    lines = [*wrong, f"replay: TM_FAULT_SEED={schedule.seed} (shrunk below)", f"  {schedule}"]
    for op in recording.ops:
        fault = f"  {op.fault.cell} arg={op.fault.arg}" if op.fault else ""
        status = op.reply.status if op.reply else "-"
        shown = op.reply.body[:160].decode("utf-8", "replace") if op.reply else ""
        where = f"{op.endpoint}{' page ' + op.page if op.page else ''}"
        lines.append(f"  {op.began:8.2f} {where:16} {op.outcome:4} {status}{fault}  {shown}")
    lines += [f"  {at:8.2f} {event}" for at, event in recording.moments]
    lines.append(f"  exit {recording.exit_code}: {recording.texts[:1]} {recording.broken or ''}")
    return "\n".join(lines)
