"""The steps of a run as rows of numbers."""

import pytest

from tm_cli.gate.model import Comparison, Step
from tm_cli.render.steps import step_numbers


@pytest.mark.parametrize(
    ("of_baseline", "of_limit", "worst"), [("FAIL", "PASS", "FAIL"), ("PASS", "WARN", "WARN")]
)
def test_a_number_has_the_worst_of_its_verdicts_and_its_baseline(of_baseline, of_limit, worst):
    quantile = {"latencyQuantiles": {"p95": 450.0}}
    comparisons = (
        Comparison("p95", "ms", 450.0, 300.0, 50.0, verdict=of_baseline, than="baseline"),
        Comparison("p95", "ms", 450.0, verdict=of_limit, than="limit"),
    )
    *_, p95 = step_numbers([Step("/cart", quantile, {}, worst, comparisons=comparisons)])
    assert (p95.metric, p95.baseline, p95.change) == ("/cart: p95", 300.0, 50.0)
    assert p95.verdict == worst
