"""The steps of a run as rows of numbers."""

from tm_cli.gate.model import Comparison, Step
from tm_cli.render.steps import step_numbers


def test_a_number_has_the_worst_of_its_verdicts_with_what_it_was_compared_with():
    quantile = {"latencyQuantiles": {"p95": 450.0}}
    comparisons = (
        Comparison("p95", "ms", 450.0, 300.0, 50.0, verdict="FAIL", than="baseline"),
        Comparison("p95", "ms", 450.0, verdict="PASS", than="limit"),
    )
    *_, p95 = step_numbers([Step("/cart", quantile, {}, "FAIL", comparisons=comparisons)])
    assert (p95.metric, p95.baseline, p95.change) == ("/cart: p95", 300.0, 50.0)
    assert p95.verdict == "FAIL"
