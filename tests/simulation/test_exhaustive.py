"""All of a small scope: every sequence of up to three faults, and every fault at every request."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.simulation import raw_seam
from tests.simulation.plan import Fault
from tests.simulation.report import say
from tests.simulation.scale import one_in
from tests.simulation.schedules import Schedule
from tests.simulation.trafficmorph.menu import MENU
from tests.simulation.trafficmorph.world import Truth
from tests.simulation.volume import Tally, in_pieces, judge_all

pytestmark = pytest.mark.volume

TWELVE = (
    "refused", "hang", "reset", "429", "500", "503-html", "302", "204", "html", "cut-body",
    "no-verdict", "old-run-id",
)  # fmt: skip
LONGEST = 3
ENDPOINTS = ["status", "history", "start"]
FAILING = Schedule(0, Truth("FAIL", duration=3.0), fail_on=("FAIL",))
PASSING = replace(FAILING, truth=Truth("PASS", duration=3.0, others_verdict="FAIL"))


def faults_of(endpoint: str, kind: str) -> tuple[Fault, ...]:
    """The fault before and, where that differs, after the server has acted; the worse one last."""
    return tuple(Fault(kind, acted, arg=3) for acted in MENU.possible_phases(endpoint, kind))


def sequences(endpoint: str) -> list[Schedule]:
    both = [fault for kind in TWELVE for fault in faults_of(endpoint, kind)]
    worse = [faults_of(endpoint, kind)[-1] for kind in TWELVE]
    return [
        replace(base, plan={endpoint: chosen})
        for length in range(1, LONGEST + 1)
        for chosen in itertools.product(both if length < LONGEST else worse, repeat=length)
        for base in (FAILING, PASSING)
        if base is FAILING or length < LONGEST
    ]


def piece(endpoint: str) -> Tally:
    return judge_all(sequences(endpoint)[one_in()], raw_seam.run)


def test_sequences_are_all_of_up_to_three_faults():
    for endpoint in ENDPOINTS:
        assert len(sequences(endpoint)) >= sum(12**length for length in range(1, LONGEST + 1))


def test_every_sequence_of_three_faults():
    tally = Tally()
    for part in in_pieces(piece, ENDPOINTS):
        tally.merge(part)
    say(tally.report())
    assert not tally.broken, "\n\n".join([tally.report(), *tally.failures])


def single_faults(base: Schedule) -> Iterator[Schedule]:
    """Every fault at every request that the schedule makes without faults."""
    calm = [op.endpoint for op in raw_seam.run(base).ops]
    for index, endpoint in enumerate(calm):
        earlier = calm[:index].count(endpoint)
        for fault in (fault for kind in MENU.kinds for fault in faults_of(endpoint, kind)):
            yield replace(base, plan={endpoint: (*[None] * earlier, fault)})


@pytest.mark.parametrize("base", [FAILING, PASSING], ids=["failing", "passing"])
def test_every_fault_at_every_request(base):
    tally = judge_all(single_faults(base), raw_seam.run)
    assert tally.schedules >= 6 * len(MENU.kinds)
    assert not tally.broken, "\n\n".join([tally.report(), *tally.failures])
