"""Probabilities of commits, the next one to measure, and how often the search is right."""

from __future__ import annotations

import math
import random

import pytest

from tm_cli.bisect.repository import Commit
from tm_cli.bisect.search import (
    BETWEEN_BUILDS,
    MOST_EVIDENCE,
    Effect,
    Search,
    containment,
    evidence,
    pooled,
)
from tm_cli.bisect.state import ERRORS, State, Terms, Trial

LINE = containment(
    {letter: [before] for before, letter in zip("-abcdefg", "abcdefgh", strict=True)}
)
SURE = 5.0


def test_before_any_measurement_all_commits_are_alike():
    assert set(Search(LINE).probabilities.values()) == {1 / 8}


def test_first_commit_to_measure_is_in_the_middle():
    assert Search(LINE).next_commit() == "d"


@pytest.mark.parametrize(
    ("said", "following"),
    [
        pytest.param({"d": SURE}, "b", id="slow"),
        pytest.param({"d": -SURE}, "f", id="fast"),
        pytest.param({"d": 0.0}, "d", id="undecided"),
        pytest.param({"d": SURE, "b": -SURE}, "c", id="between-both"),
    ],
)
def test_next_commit_is_the_least_certain_one(said, following):
    assert Search(LINE, said).next_commit() == following


def test_clear_answers_on_both_sides_name_the_commit():
    found = Search(LINE, {"e": SURE, "d": -SURE}).candidates()
    assert found.commits == ("e",)
    assert found.probability > 0.95


def test_wrong_answer_is_corrected_by_others():
    said = {"d": -SURE, "e": -SURE, "c": SURE}  # the true one is f
    assert Search(LINE, said | {"f": 3 * SURE, "e": -3 * SURE}).candidates().commits == ("f",)


def test_bad_itself_is_never_measured():
    only = containment({"a": ["-"]})
    assert Search(only).next_commit() is None
    assert Search(only).candidates().probability == 1.0


def test_commits_that_nothing_testable_divides_are_named_together():
    search = Search(LINE, {"c": -SURE, "f": SURE}, frozenset("de"))
    found = search.candidates()
    assert found.commits == ("d", "e", "f")
    assert found.probability > 0.95
    assert search.next_commit() not in "de"


def test_without_any_testable_commit_all_are_candidates():
    search = Search(LINE, {}, frozenset("abcdefg"))
    assert search.next_commit() is None
    assert search.candidates().commits == tuple("abcdefgh")


def test_commits_of_a_merged_branch_are_told_from_those_next_to_it():
    parents = {"a": [], "left": ["a"], "right": ["a"], "merge": ["left", "right"]}
    search = Search(containment(parents), {"left": -SURE, "a": -SURE, "right": SURE})
    assert search.candidates().commits == ("right",)


def test_confident_set_holds_what_it_says():
    assert Search(LINE, {"d": SURE}).likeliest(0.95)[:4] == ["a", "b", "c", "d"]
    assert len(Search(LINE).likeliest(0.95)) == 8


SLOW = Effect(math.log(1.3), 0.02)


def test_evidence_has_a_sign_and_a_limit():
    assert evidence(Effect(math.log(1.3), 0.02), SLOW, 1) == MOST_EVIDENCE
    assert evidence(Effect(0.0, 0.02), SLOW, 1) == -MOST_EVIDENCE
    assert evidence(Effect(SLOW.shift / 2, 0.02), SLOW, 1) == pytest.approx(0.0)


def test_no_repetition_tells_apart_what_two_builds_differ_by():
    slightly = Effect(BETWEEN_BUILDS, 1e-6)
    assert abs(evidence(slightly, slightly, 1000)) < 1.0


def test_several_measurements_are_weighted_by_their_precision():
    found = pooled([Effect(0.1, 0.01), Effect(0.3, 0.1)])
    assert found.shift == pytest.approx(0.102, abs=0.001)
    assert found.error < 0.01


def begun(count, **terms):
    commits = [Commit(str(number), (str(number - 1),)) for number in range(1, count + 1)]
    chosen = Terms(None, "serve", "profile", **terms)
    return State(chosen, Commit("0"), commits, mark="mark", directory="")


def trial(commit, shift=0.0, error=0.03, errors="PASS", metric="p95"):
    return Trial(commit, "run", "PASS", {metric: Effect(shift, error)}, errors)


def search_through(state, measure):
    """Play the search to its end; returns the commits that it names, nothing if it gives up."""
    while state.metric is None:
        if state.are_alike:
            return ()
        state.add(measure(state.bad.id))
    while len(state.trials) < state.terms.max_runs:
        found = state.search().candidates()
        if found.probability >= state.terms.confidence:
            return found.commits
        state.add(measure(state.search().next_commit()))
    return ()


@pytest.mark.parametrize(
    ("count", "slower", "noise"), [(12, 1.3, 0.03), (12, 1.3, 0.08), (50, 1.3, 0.05)]
)
def test_named_commit_is_the_right_one_as_often_as_is_said(count, slower, noise):
    rng, right, searches = random.Random(count), 0, 60
    for _ in range(searches):
        first = rng.randint(1, count)

        def measure(commit, first=first):
            shift = math.log(slower) if int(commit) >= first else 0.0
            # a short run knows its own noise badly
            error = noise * math.sqrt(sum(rng.gauss(0, 1) ** 2 for _ in range(3)) / 3)
            return trial(commit, shift + rng.gauss(0, noise), max(error, 0.001))

        right += str(first) in search_through(begun(count), measure)
    assert right >= 0.95 * searches - 2  # the lower edge of what chance makes of 95 %


def test_commits_that_are_alike_are_not_searched():
    rng = random.Random(5)
    for _ in range(20):
        state = begun(12)
        assert search_through(state, lambda c: trial(c, rng.gauss(0, 0.03))) == ()
        assert state.metric is None


def test_faster_bad_is_not_slower():
    state = begun(12)
    assert search_through(state, lambda commit: trial(commit, -0.3)) == ()


def test_metric_that_differs_most_is_searched_by():
    state = begun(12)
    both = {"p50": Effect(0.1, 0.02), "p95": Effect(0.3, 0.02)}
    state.add(Trial("12", "run", "FAIL", both))
    assert state.metric == "p95"


def test_chosen_metric_is_the_only_one_that_counts():
    state = begun(12, metric="p50")
    state.add(trial("12", 0.3))
    assert state.metric is None


def test_errors_are_searched_by_their_verdict():
    state = begun(8)
    found = search_through(
        state, lambda c: trial(c, -0.2, errors="FAIL" if int(c) >= 6 else "PASS")
    )
    assert (state.metric, found) == (ERRORS, ("6",))


def test_run_that_seems_to_have_no_noise_does_not_outweigh_the_others():
    state = begun(12)
    for shift, error in ((0.1, 0.05), (0.1, 0.05), (0.02, 0.0001)):
        state.trials.append(trial("12", shift, error))
    assert state.effect("p95").shift > 0.06
