"""A few trials of each kind of benchmarks/verdict.py, which plays hundreds: gross errors show here.

The seeds are fixed, so nothing fails by chance.
"""

from collections import Counter

import pytest
from noise import HARD, NOISES, ORDINARY, Target
from trials import SLOW, Load, Trial, after_improvement, creep, duet, errors, one_more

USUAL = Load()
SLOWER = Target(slower=1.25)


def verdicts(trials: list[Trial]) -> Counter[str]:
    return Counter(outcome.verdict for trial in trials for outcome in trial)


@pytest.mark.parametrize("name", ORDINARY)
def test_unchanged_runs_pass(name: str) -> None:
    found = verdicts([one_more(seed, noise=NOISES[name], load=USUAL) for seed in range(4)])
    assert found["FAIL"] == 0
    assert found["WARN"] <= 1


@pytest.mark.parametrize("name", HARD)
def test_unchanged_runs_hardly_ever_fail_whatever_the_noise(name: str) -> None:
    found = verdicts([one_more(seed, noise=NOISES[name], load=USUAL) for seed in range(4)])
    assert found["FAIL"] <= 1
    assert found["PASS"] >= 2


@pytest.mark.parametrize("name", ORDINARY)
def test_slower_runs_fail(name: str) -> None:
    trials = [one_more(seed, noise=NOISES[name], load=USUAL, target=SLOWER) for seed in range(2)]
    assert verdicts(trials)["FAIL"] >= 1
    assert verdicts(trials)["PASS"] == 0


@pytest.mark.parametrize("name", ["hosted mix", "machines 10 %", "wander of 20 s"])
def test_a_duet_is_not_deceived_by_the_machine(name: str) -> None:
    same = [duet(1, noise=NOISES[name], load=USUAL)]
    slower = [duet(2, noise=NOISES[name], load=USUAL, target=SLOWER)]
    assert (verdicts(same), verdicts(slower)) == ({"PASS": 1}, {"FAIL": 1})


@pytest.mark.parametrize("is_pinned", [False, True])
def test_the_loss_of_an_improvement_fails(is_pinned: bool) -> None:
    trials = [
        after_improvement(
            seed,
            noise=NOISES["hosted"],
            load=USUAL,
            better=better,
            target=SLOW,
            is_pinned=is_pinned,
        )
        for seed, better in enumerate((1, 5))
    ]
    assert verdicts(trials) == {"FAIL": 2}


@pytest.mark.parametrize("incident", [1, 20, 60])
def test_as_many_errors_as_before_do_not_fail_however_they_come(incident: int) -> None:
    trials = [
        errors(seed, incident=incident, load=Load(rate=50), before=0.01, now=0.01)
        for seed in range(25)
    ]
    assert verdicts(trials)["FAIL"] <= 1


@pytest.mark.parametrize("incident", [1, 20])
def test_many_more_errors_do_not_pass(incident: int) -> None:
    trials = [
        errors(seed, incident=incident, load=Load(rate=50), before=0.001, now=0.05)
        for seed in range(15)
    ]
    assert verdicts(trials)["PASS"] <= 1


def test_a_service_that_becomes_slower_bit_by_bit_fails() -> None:
    trial = creep(1, noise=NOISES["hosted"], load=USUAL, step=1.03, found_by=1.2, before=2)
    assert verdicts([trial]) == {"FAIL": 1}
