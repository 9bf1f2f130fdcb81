"""What the benchmarks make of the events of a run."""

import pytest
from generators.tools import Played

CURVE = 4.0  # seconds


def progress(elapsed: float, completed: int) -> dict[str, object]:
    return {"event": "progress", "elapsed": elapsed, "sent": completed, "completed": completed}


def played(*told: tuple[float, int, float]) -> Played:
    """From elapsed seconds, completed requests and processor seconds at each progress."""
    events = [progress(elapsed, completed) for elapsed, completed, _ in told]
    cpu = dict(enumerate(spent for *_, spent in told))
    return Played([*events, {"event": "finished", "elapsed": CURVE}], cpu)


def test_requests_of_the_drain_are_not_counted_as_those_of_the_curve() -> None:
    within = [(0.95, 1000, 1.0), (1.95, 2000, 2.0), (2.95, 3000, 3.0), (3.95, 4000, 4.0)]
    drain = [(CURVE, 9000, 4.5), (CURVE, 14000, 5.0)]
    assert played(*within, *drain).rate == pytest.approx(1000)
    assert played(*within, *drain).rate == played(*within).rate


def test_the_first_second_in_which_connections_are_opened_is_left_out() -> None:
    told = played((0.02, 0, 0.0), (0.95, 500, 5.0), (1.95, 1500, 5.5), (2.95, 2500, 6.0))
    assert told.cpu_per_request == pytest.approx(0.0005)


def test_a_master_tells_the_sent_requests_alone() -> None:
    told = played((1.0, 100, 1.0), (3.0, 300, 2.0))
    for event in told.events[:-1]:
        del event["completed"]
    assert told.cpu_per_request == pytest.approx(0.005)
