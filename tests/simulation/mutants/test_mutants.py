"""Every mutant is found; a patch that no longer fits fails instead of being passed over."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from tests.simulation.mutants.catalogue import LISTS, MUTANTS
from tests.simulation.report import say
from tests.simulation.scale import cores, one_in
from tests.simulation.zygote import Forked

SUBSET = Path(__file__).with_name("subset.py")
LONGEST = 240.0
FEWEST = 90

EVERY = 6
"""One in how many mutants is met below full size."""


def meet(name: str | None) -> tuple[int | None, str, str]:
    """Run the quick part of the engine against a mutant, or against tm as it is."""
    argv = [name] if name else []
    if os.name == "posix":
        process = Forked(str(SUBSET), argv, environ=os.environ, cwd=SUBSET.parent)
        out, err = process.communicate(timeout=LONGEST)
        return process.returncode, out, err
    command = [sys.executable, str(SUBSET), *argv]
    found = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST, check=False)
    return found.returncode, found.stdout, found.stderr


def chosen() -> list[str]:
    """All mutants at full size; otherwise a part of each list, another one for each commit."""
    return [mutant.name for mutants in LISTS for mutant in mutants[one_in(EVERY)]]


def test_there_are_enough_and_each_has_a_name_of_its_own():
    assert len(MUTANTS) == sum(map(len, LISTS)) >= FEWEST


@pytest.mark.parametrize("name", MUTANTS)
def test_patch_fits(name):
    """A mutant that is no Python would be found by any test."""
    compile(MUTANTS[name].source(), name, "exec")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"module": "tm_cli.gone"}, "no module"),
        ({"function": "gone"}, "not once"),
        ({"old": "gone"}, "0 times"),
        ({"old": "e"}, "times in"),
    ],
)
def test_patch_that_no_longer_fits_is_noticed(change, reason):
    mutant = replace(next(iter(MUTANTS.values())), **change)
    with pytest.raises(ValueError, match=reason):
        mutant.source()


@pytest.mark.volume
def test_every_mutant_is_found_and_nothing_is_found_without_one():
    with ThreadPoolExecutor(cores()) as pool:
        results = list(pool.map(meet, [None, *chosen()]))
    say("\n".join(out.strip() for _, out, _ in results))
    survivors = [out + err[-500:] for code, out, err in results if code]
    assert survivors == []
