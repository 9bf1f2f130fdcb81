"""What a server tells of a run, as a result."""

from tm_cli.backends.trafficmorph.results import MOST_STEPS, read_steps


def test_of_too_many_steps_the_worst_are_kept():
    measured = [{"name": f"/{number}", "totalRequests": 1} for number in range(MOST_STEPS)]
    missing = {"name": "/checkout", "verdict": "FAIL", "comparisons": []}
    steps = read_steps(measured, {"steps": [missing]})
    assert (steps[0].name, steps[0].verdict, len(steps)) == ("/checkout", "FAIL", MOST_STEPS)
