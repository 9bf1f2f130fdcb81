import pytest

from tm_cli.server.judge import RunFacts, choose_baseline


def run(
    history_id: int,
    verdict: str | None = None,
    *,
    fingerprint: str = "same",
    errors: int = 0,
    saturated: bool = False,
) -> RunFacts:
    return RunFacts(
        history_id=history_id,
        verdict=verdict,
        fingerprint=fingerprint,
        planned=1000,
        sent=1000,
        completed=1000,
        errors=errors,
        quantiles_ms={"p50": 10.0, "p95": 20.0, "p99": 30.0},
        generator_saturated=saturated,
    )


NEW = run(10)


@pytest.mark.parametrize(
    ("earlier", "chosen"),
    [
        pytest.param([], None, id="nothing-before"),
        pytest.param([run(1, "NO_BASELINE")], 1, id="the-first-run-is-the-measure"),
        pytest.param([run(1, "NO_BASELINE"), run(2, "PASS")], 2, id="a-pass-replaces-it"),
        pytest.param([run(3, "PASS"), run(2, "PASS")], 3, id="the-newest-pass-in-any-order"),
        pytest.param([run(2, "PASS"), run(3, "FAIL"), run(4, "WARN")], 2, id="only-a-pass-does"),
        pytest.param([run(5, "WARN"), run(2, "FAIL")], 2, id="else-the-oldest"),
        pytest.param([run(1, "PASS", fingerprint="other")], None, id="another-load-is-no-measure"),
        pytest.param([run(11, "PASS")], None, id="a-later-run-is-no-measure"),
        pytest.param([run(10, "PASS")], None, id="nor-is-the-run-itself"),
        pytest.param([run(1, errors=1000), run(2)], 2, id="a-failed-first-run-is-skipped"),
        pytest.param([run(1, errors=1000)], None, id="even-if-it-is-the-only-one"),
        pytest.param([run(1, saturated=True), run(2, "WARN")], 2, id="a-sound-run-is-preferred"),
        pytest.param([run(1, saturated=True)], 1, id="an-unsound-one-is-better-than-none"),
    ],
)
def test_the_baseline_is(earlier: list[RunFacts], chosen: int | None) -> None:
    baseline = choose_baseline(NEW, earlier)
    assert (baseline.history_id if baseline else None) == chosen
