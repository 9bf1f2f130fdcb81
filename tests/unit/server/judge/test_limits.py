import math

import pytest

from tm_cli.server.judge import Threshold, Thresholds


def test_what_is_not_said_keeps_its_default() -> None:
    assert Thresholds().changed(None) == Thresholds().changed({}) == Thresholds()


@pytest.mark.parametrize(
    ("said", "bound"),
    [
        pytest.param({"warn": 7, "fail": 20}, Threshold(7, 20), id="both"),
        pytest.param({"fail": 20}, Threshold(5, 20), id="fail-alone"),
        pytest.param({"fail": 3}, Threshold(3, 3), id="fail-below-the-default-warning"),
        pytest.param({"warn": 0, "fail": 0}, Threshold(0, 0), id="nothing-at-all"),
        pytest.param(False, Threshold(math.inf, math.inf), id="never"),
        pytest.param({"fail": False}, Threshold(5, math.inf), id="warn-only"),
    ],
)
def test_a_limit_can_be_said(said: object, bound: Threshold) -> None:
    limits = Thresholds().changed({"p95": said})
    assert limits.quantiles["p95"] == bound
    assert limits.quantiles["p50"] == Thresholds().quantiles["p50"]


def test_every_limit_of_the_document_can_be_read_back() -> None:
    changed = Thresholds().changed(
        {
            "p50": False,
            "p99": {"warn": False, "fail": 12},
            "errors": {"warn": 0.1, "fail": 2},
            "allErrors": False,
            "shortfall": {"fail": 9},
            "throughput": {"warn": 1},
            "floorMs": 0,
            "minRequests": 1000,
        }
    )
    assert Thresholds().changed(changed.document()) == changed


@pytest.mark.parametrize(
    ("document", "complaint"),
    [
        ({"p96": {"warn": 1}}, "gate: p96: unknown threshold"),
        ({"p95": 5}, "gate: p95: it is neither an object with warn and fail, nor false"),
        ({"p95": {}}, "gate: p95: it has neither warn nor fail"),
        ({"p95": {"wran": 5}}, "gate: p95: it has 'wran', which is neither warn nor fail"),
        ({"p95": {"warn": 9, "fail": 5}}, "gate: p95: warn 9 is above fail 5"),
        ({"p95": {"warn": 40}}, "gate: p95: warn 40 is above fail 15"),
        ({"p95": {"warn": True}}, "gate: p95: not a number"),
        ({"p95": {"warn": "5"}}, "gate: p95: not a number"),
        ({"errors": {"fail": -1}}, "gate: errors: it must be finite and not negative"),
        ({"floorMs": math.nan}, "gate: floorMs: it must be finite and not negative"),
        ({"floorMs": 10**400}, "gate: floorMs: it must be finite and not negative"),
        ({"minRequests": 1e300}, "gate: minRequests: it must be finite and not negative"),
        ({"minRequests": 1.5}, "gate: minRequests: it must be a whole number"),
        ({"p95": {"warnMs": 500, "failMs": 400}}, "gate: p95: warn 500 is above fail 400"),
        ({"p95": {"failMs": "400ms"}}, "gate: p95: not a number"),
        (
            {"errors": {"failMs": 4}},
            "gate: errors: it has 'failMs', which is neither warn nor fail",
        ),
        ({"p95[60s..": {"fail": 4}}, "gate: p95[60s..: a stretch is written as in p95[60s..90s]"),
        ({"p95[60s..90s]": {}}, "gate: p95[60s..90s]: it has neither warn nor fail"),
        ({"shortfall[60s..90s]": {"fail": 4}}, "gate: shortfall[60s..90s]: unknown threshold"),
        (
            {"errors[60s..90s]": {"failMs": 4}},
            "gate: errors[60s..90s]: only a response time has a limit in milliseconds",
        ),
    ],
)
def test_a_mistake_is_named(document, complaint: str) -> None:
    with pytest.raises(ValueError, match=r"^gate") as caught:
        Thresholds().changed(document)
    assert str(caught.value) == complaint


def test_rarer_quantiles_have_higher_floors() -> None:
    floors = [Thresholds(floor_ms=2.0).floor(name) for name in ("p50", "p95", "p99", "p99.9")]
    assert floors == [1.0, 2.0, 5.0, 10.0]


def test_a_later_document_changes_one_kind_of_limit_and_keeps_the_other() -> None:
    project = Thresholds().changed({"p95": {"fail": 25, "failMs": 400}, "p50[0s..5s]": {"fail": 9}})
    profile = project.changed({"p95": {"failMs": 300}})
    assert profile.document()["p95"] == {"warn": 5, "fail": 25, "failMs": 300}
    assert project.changed({"p95": {"fail": 30}}).document()["p95"]["failMs"] == 400
    assert "failMs" not in project.changed({"p95": {"failMs": False}}).document()["p95"]


@pytest.mark.parametrize(
    ("said", "left"),
    [
        (False, False),
        ({"fail": False}, {"warn": 5, "fail": False}),
        ({"fail": False, "failMs": 500}, {"warn": 5, "fail": False, "failMs": 500}),
    ],
)
def test_never_means_neither_kind_of_limit(said: object, left: object) -> None:
    project = Thresholds().changed({"p95": {"fail": 25, "failMs": 400}})
    assert project.changed({"p95": said}).document()["p95"] == left


def test_the_limits_of_a_stretch_can_be_taken_back() -> None:
    project = Thresholds().changed({"p95[60s..90s]": {"fail": 20, "failMs": 400}})
    assert project.changed({"p95[1m..90s]": False}) == Thresholds()
    assert project.changed({"p95[60s..90s]": {"failMs": False}}).document()["p95[60s..90s]"] == {
        "fail": 20
    }


def test_there_are_not_more_stretches_than_can_be_judged() -> None:
    document = {f"p95[{second}s..]": {"fail": 5} for second in range(0, 255, 5)}
    with pytest.raises(ValueError, match="more than 50 stretches"):
        Thresholds().changed(document)
