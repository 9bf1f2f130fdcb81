from dataclasses import replace

import pytest

from tm_cli.server.judge import BaselineSelection, RunFacts, SelectedBy, Thresholds, choose_baseline


def run(
    history_id: int,
    verdict: str | None = None,
    *,
    fingerprint: str = "same",
    errors: int = 0,
    saturated: bool = False,
    planned: int = 1000,
    lost: bool = False,
    pinned: int | None = None,
) -> RunFacts:
    return RunFacts(
        history_id=history_id,
        verdict=verdict,
        fingerprint=fingerprint,
        planned=planned,
        sent=1000,
        completed=1000,
        errors=errors,
        quantiles_ms={"p50": 10.0, "p95": 20.0, "p99": 30.0},
        generator_saturated=saturated,
        notes=("a worker was lost",) if lost else (),
        pinned=pinned,
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
        pytest.param([run(1, lost=True), run(2, "WARN")], 2, id="a-whole-run-too"),
        pytest.param([run(1, errors=51), run(2, "WARN")], 2, id="one-with-fewer-errors-too"),
        pytest.param([run(1, errors=499), run(2, "WARN")], 2, id="however-many-there-were"),
        pytest.param([run(1, errors=50), run(2, "WARN")], 1, id="a-few-errors-are-no-doubt"),
        pytest.param([run(1, planned=1011), run(2, "WARN")], 2, id="one-that-was-sent-too"),
        pytest.param([run(1, planned=1010), run(2, "WARN")], 1, id="almost-all-is-all"),
        pytest.param(
            [run(1, errors=100), run(2, saturated=True), run(3, "WARN"), run(4, "WARN")],
            3,
            id="the-oldest-sound-one",
        ),
        pytest.param(
            [run(1, errors=100), run(2, "WARN"), run(3, "PASS")], 3, id="until-one-passes"
        ),
        pytest.param(
            [run(1), run(2, "FAIL", errors=60)], 1, id="more-errors-do-not-take-a-sound-run-away"
        ),
        pytest.param(
            [run(1, saturated=True), run(2, "FAIL")], 1, id="nor-does-what-failed-by-an-older-run"
        ),
        pytest.param(
            [run(1, saturated=True), run(2, "FAIL"), run(3, "WARN")], 3, id="but-what-did-not-fail"
        ),
        pytest.param(
            [run(1, "PASS"), run(2, "PASS", errors=60)], 1, id="a-sound-pass-before-a-newer-one"
        ),
        pytest.param(
            [run(1), run(2, "PASS", errors=60)], 1, id="a-sound-run-before-a-doubtful-pass"
        ),
        pytest.param([run(1, saturated=True)], 1, id="an-unsound-one-is-better-than-none"),
        pytest.param(
            [run(1, errors=60), run(2, "PASS", errors=60)], 2, id="of-unsound-ones-a-pass"
        ),
    ],
)
def test_the_baseline_is(earlier: list[RunFacts], chosen: int | None) -> None:
    baseline = choose_baseline(NEW, earlier).baseline
    assert (baseline.history_id if baseline else None) == chosen


@pytest.mark.parametrize(
    ("excludes", "chosen"),
    [
        pytest.param([True, True, True], 3, id="all-could-tell"),
        pytest.param([True, True, False], 2, id="the-newest-could-not"),
        pytest.param([False, False, False], 3, id="none-could"),
        pytest.param([None, None, None], 3, id="of-older-servers"),
        pytest.param([True, False, False, False, False], 1, id="an-older-one-of-five"),
        pytest.param([True, False, False, False, False, False], 6, id="but-not-for-ever"),
    ],
)
def test_a_run_that_could_not_tell_is_no_baseline_while_there_is_a_better_one(
    excludes, chosen
) -> None:
    runs = [
        replace(run(number, "PASS"), excludes_fail=known)
        for number, known in enumerate(excludes, 1)
    ]
    assert choose_baseline(NEW, runs).baseline == runs[chosen - 1]


def test_every_reliable_run_that_did_not_fail_shows_how_much_runs_differ() -> None:
    earlier = [
        run(1, "NO_BASELINE"),
        run(2, "PASS"),
        run(3, "FAIL"),
        run(4, "WARN", saturated=True),
        run(5, "WARN"),
        run(6, "FAIL", errors=1000),
        run(7, "PASS", fingerprint="other"),
    ]
    choice = choose_baseline(NEW, earlier)
    assert [other.history_id for other in choice.completed] == [1, 2, 5]
    pinned = choose_baseline(NEW, earlier, BaselineSelection(SelectedBy.PINNED, 2, earlier[1]))
    assert pinned.completed == choice.completed


PASSED = [run(1, "NO_BASELINE"), run(2, "PASS"), run(3, "WARN"), run(4, "PASS"), run(5, "PASS")]


def test_the_first_run_that_passed_is_a_reference_next_to_the_newest() -> None:
    choice = choose_baseline(NEW, PASSED)
    assert choice.baseline is not None
    assert choice.reference is not None
    assert (choice.baseline.history_id, choice.reference.history_id) == (5, 2)
    assert [other.history_id for other in choice.passed] == [2, 4, 5]


@pytest.mark.parametrize("how", [SelectedBy.ASKED, SelectedBy.PINNED])
def test_what_the_user_names_comes_first(how: SelectedBy) -> None:
    choice = choose_baseline(NEW, PASSED, BaselineSelection(how, 3, PASSED[2]))
    assert (choice.baseline, choice.how, choice.reference) == (PASSED[2], how, None)


@pytest.mark.parametrize(
    ("wished", "reason"),
    [
        pytest.param(None, "is not in the history any more", id="deleted"),
        pytest.param(
            replace(run(3, fingerprint="other"), traits={"curve": "a", "region": "x"}),
            "has another curve and region",
            id="another-load",
        ),
        pytest.param(run(3, errors=1000), "mostly failed", id="failed"),
    ],
)
def test_a_pinned_run_that_cannot_serve_is_not_replaced_by_another(wished, reason) -> None:
    new = replace(NEW, traits={"curve": "b", "region": "y"})
    choice = choose_baseline(new, PASSED, BaselineSelection(SelectedBy.PINNED, 3, wished))
    assert choice.baseline is None
    assert choice.reason == f"the baseline that was pinned, run 3, {reason}"


@pytest.mark.parametrize(
    ("earlier", "reason"),
    [
        pytest.param([], "no earlier run to compare with", id="nothing"),
        pytest.param(
            [replace(run(4, fingerprint="other"), traits={"target": "a"})],
            "run 4, the newest, has another target",
            id="another-target",
        ),
        pytest.param(
            [run(4, fingerprint="older")], "the newest, has another load", id="of-an-older-server"
        ),
        pytest.param([run(4, errors=1000)], "run 4, the newest, mostly failed", id="failed"),
    ],
)
def test_without_a_baseline_the_reason_says_why(earlier: list[RunFacts], reason: str) -> None:
    choice = choose_baseline(replace(NEW, traits={"target": "b"}), earlier)
    assert choice.baseline is None
    assert choice.reason.endswith(reason)


def test_what_is_doubtful_is_said_by_the_limits() -> None:
    earlier = [run(1, errors=100), run(2, "WARN")]
    lenient = Thresholds().changed({"allErrors": {"warn": 20}})
    assert choose_baseline(NEW, earlier, thresholds=lenient).baseline == earlier[0]


def test_a_run_is_the_baseline_of_its_own_judgement_only_with_what_is_measured_of_it() -> None:
    def measured(other: RunFacts) -> RunFacts:
        return replace(other, blocks=[[(other.history_id, 1000)]])

    fast = [replace(run(n, "PASS"), quantiles_ms={"p50": 5.0}) for n in (6, 7)]
    choice = choose_baseline(NEW, [*PASSED, *fast], measured=measured)
    found = [choice.baseline, choice.reference, choice.improved["p50"]]
    assert [(other.history_id, other.blocks) for other in found if other] == [
        (7, [[(7, 1000)]]),
        (2, [[(2, 1000)]]),
        (6, [[(6, 1000)]]),
    ]
    assert set(choice.improved) == {"p50"}


WILD = [[(1_000, 100)], [(40_000, 100)]] * 5
CALM = [[(10_000, 180), (20_000, 18), (30_000, 2)]] * 5


def test_the_first_run_that_is_calm_replaces_a_noisy_one() -> None:
    noisy, first, second = (
        replace(run(number, verdict), blocks=blocks)
        for number, verdict, blocks in (
            (1, "NO_BASELINE", WILD),
            (2, "WARN", CALM),
            (3, "WARN", CALM),
        )
    )
    now = replace(NEW, blocks=CALM)
    assert choose_baseline(now, [noisy]).baseline == noisy
    assert choose_baseline(now, [noisy, first, second]).baseline == first


def test_if_the_run_itself_is_noisy_the_oldest_stays() -> None:
    earlier = [replace(run(1), blocks=CALM), replace(run(2, "WARN"), blocks=CALM)]
    assert choose_baseline(replace(NEW, blocks=WILD), earlier).baseline == earlier[0]


def test_what_passed_before_the_last_pinned_run_is_no_reference() -> None:
    earlier = [
        run(1),
        run(2, "PASS"),
        run(3, "FAIL"),
        run(4, "PASS", pinned=3),
        run(5, "PASS"),
        run(6, "PASS"),
    ]
    choice = choose_baseline(NEW, earlier)
    assert [other.history_id for other in choice.passed] == [4, 5, 6]
    assert choice.reference == earlier[3]


def stopped(history_id: int, verdict: str = "PASS", **fields: int) -> RunFacts:
    return replace(run(history_id, verdict, **fields), stopped_after=30.0)


def test_a_run_that_was_stopped_early_is_no_baseline_but_counts_among_those_that_passed() -> None:
    choice = choose_baseline(NEW, [run(1, "PASS"), run(2, "PASS"), stopped(3), stopped(4)])
    assert choice.baseline == run(2, "PASS")
    assert choice.reference == run(1, "PASS")
    assert [other.history_id for other in choice.passed] == [1, 2, 3, 4]


def test_without_any_whole_run_there_is_no_baseline() -> None:
    choice = choose_baseline(NEW, [stopped(3), stopped(4, "FAIL")])
    assert choice.baseline is None
    assert choice.reason.endswith("run 4, the newest, was stopped early")


def test_a_selected_run_that_was_stopped_early_is_not_replaced_by_another() -> None:
    selection = BaselineSelection(SelectedBy.PINNED, 3, stopped(3))
    choice = choose_baseline(NEW, [run(1, "PASS"), stopped(3)], selection)
    assert (choice.baseline, choice.how) == (None, SelectedBy.PINNED)
    assert choice.reason == "the baseline that was pinned, run 3, was stopped early"


def test_after_a_pin_whose_runs_were_all_stopped_early_the_pinned_run_is_the_baseline() -> None:
    earlier = [run(1, "PASS"), run(2, "FAIL"), stopped(3, pinned=2), stopped(4, pinned=2)]
    assert choose_baseline(NEW, earlier).baseline == run(2, "FAIL")
