"""What must not matter does not: spelling, the wall clock, a stricter gate."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.simulation.nemesis import Blow
from tests.simulation.raw_seam import run
from tests.simulation.scale import seeds
from tests.simulation.schedules import GATED, Schedule
from tests.simulation.system import system_named
from tests.simulation.trafficmorph.schedules import generate

pytestmark = pytest.mark.volume

SAMPLE = seeds(30_000)[::50]
TEXTUAL = ("cut-body", "repeated-key", "repeated-verdict", "renamed-content")
"""Faults that edit the text of an answer, and so depend on its spelling."""


def quiet(seed: int) -> Schedule:
    """A schedule without blows that are tied to the number of a request or to the wall clock."""
    schedule = generate(seed)
    return replace(
        schedule, style=0, blows=tuple(b for b in schedule.blows if b.action != "wall-step")
    )


def test_spelling_of_the_documents_does_not_matter():
    """Key order, white space and unknown fields change neither exit code nor requests."""
    for seed in SAMPLE:
        schedule = quiet(seed)
        if not any(kind in str(schedule.plan) for kind in TEXTUAL):
            plain, respelt = run(schedule), run(replace(schedule, style=seed + 1))
            assert plain.fingerprint() == respelt.fingerprint(), f"TM_FAULT_SEED={seed}"


@pytest.mark.parametrize("name", ["runloop", "strait"])
def test_spelling_does_not_matter_to_other_systems(name):
    system = system_named(name)
    for seed in seeds(6_000)[::50]:
        schedule = replace(system.generate(seed), style=0)
        kinds = {fault.kind for faults in schedule.plan.values() for fault in faults if fault}
        if kinds.isdisjoint(system.MENU.spoilt):
            plain, respelt = run(schedule), run(replace(schedule, style=seed + 1))
            assert plain.fingerprint() == respelt.fingerprint(), f"TM_FAULT_SEED={seed}"


def wall_clock_matters(seed: int) -> bool:
    """Whether steps of the wall clock change anything; rows without runId are compared with it."""
    schedule = quiet(seed)
    if not schedule.truth.names_rows or "run-id" in str(schedule.plan):
        return False
    steps = (Blow("wall-step", -3e8, request=3), Blow("wall-step", 7e8, request=5))
    jumping = replace(schedule, blows=(*schedule.blows, *steps))
    return run(schedule).fingerprint() != run(jumping).fingerprint()


def test_wall_clock_does_not_matter():
    assert [seed for seed in SAMPLE if wall_clock_matters(seed)] == []


def test_stricter_gate_never_turns_a_failure_into_a_pass():
    for seed in SAMPLE:
        schedule = quiet(seed)
        if run(schedule).exit_code in {2, 3, 4}:
            assert run(replace(schedule, fail_on=GATED)).exit_code != 0, f"TM_FAULT_SEED={seed}"


def test_replay_is_exact():
    for seed in SAMPLE[:50]:
        first, second = run(generate(seed)), run(generate(seed))
        assert first.fingerprint() == second.fingerprint()
        assert first.moments == second.moments
