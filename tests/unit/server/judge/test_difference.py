import pytest

from tm_cli.server.judge.statistics.welch_test import against_history, welch


def test_welch_agrees_with_the_textbook() -> None:
    a = [27.5, 21.0, 19.0, 23.6, 17.0, 17.9, 16.9, 20.1, 21.9, 22.6, 23.1, 19.6, 19.0, 21.7, 21.4]
    b = [27.1, 22.0, 20.8, 23.4, 23.4, 23.5, 25.8, 22.0, 24.8, 20.2, 21.9, 22.1, 22.9, 20.5, 24.4]
    test = welch(a, b)
    assert test["tStat"] == pytest.approx(-2.455356, abs=1e-6)
    assert test["degreesOfFreedom"] == 24
    assert test["pValue"] == pytest.approx(0.021378, abs=1e-6)
    assert test["significant"] is True
    assert test["boxA"]["median"] == 21.0


@pytest.mark.parametrize(
    ("a", "b"),
    [
        pytest.param([1.0], [2.0], id="one-bucket"),
        pytest.param([1.0, 1.0], [2.0, 2.0], id="no-variation"),
    ],
)
def test_too_little_is_not_tested(a, b) -> None:
    test = welch(a, b)
    assert (test["delta"], test["pValue"], test["significant"]) == (-1.0, None, False)


def test_of_nothing_nothing_is_known() -> None:
    found = welch([], [1.0])
    assert found.pop("significant") is False
    assert set(found.values()) == {None}


def test_from_zero_there_is_no_percentage() -> None:
    assert welch([1.0, 2.0], [0.0, 0.0])["deltaPercent"] is None


def test_a_difference_is_measured_by_how_much_earlier_runs_differed() -> None:
    earlier = [99.9, 99.8, 99.9, 99.7, 99.8, 99.9]
    usual = against_history(99.8, 99.9, earlier)["bootstrap"]
    unusual = against_history(95.0, 99.9, earlier)["bootstrap"]
    assert (usual["significant"], unusual["significant"]) == (False, True)
    assert unusual["currentPercentile"] == 0
    assert sum(part["count"] for part in usual["bins"]) == 1000
    assert usual["ci95Low"] <= 0 <= usual["ci95High"]


@pytest.mark.parametrize("earlier", [[], [99.0, 99.5]])
def test_little_history_is_not_enough(earlier) -> None:
    compared = against_history(1.0, 3.0, earlier)
    assert (compared["delta"], "bootstrap" in compared) == (-2.0, False)


def test_a_history_without_differences_has_one_bin() -> None:
    compared = against_history(100.0, 100.0, [100.0] * 5)["bootstrap"]
    assert compared["bins"] == [{"min": 0.0, "max": 0.0, "count": 1000}]
