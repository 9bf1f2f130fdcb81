"""Every mutant is found; a patch that no longer fits fails instead of being passed over."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from faults.mutants.catalogue import LISTS, MUTANTS
from faults.report import say

SUBSET = Path(__file__).with_name("subset.py")
AT_ONCE = 2
FEWEST = 90

EVERY = 1 if os.environ.get("TM_FAULT_ALL_MUTANTS") else 3
"""One in how many mutants of the systems that share the engine is met."""


def meet(name: str | None) -> subprocess.CompletedProcess[str]:
    """Run the quick part of the engine against a mutant, or against tm as it is."""
    argv = [sys.executable, str(SUBSET), *([name] if name else [])]
    return subprocess.run(argv, capture_output=True, text=True, timeout=240, check=False)


def chosen() -> list[str]:
    """All mutants of what all systems share, and a part of the others."""
    shared = LISTS[:2]
    parts = [mutants if mutants in shared else mutants[::EVERY] for mutants in LISTS]
    return [mutant.name for mutants in parts for mutant in mutants]


def test_there_are_enough_and_each_has_a_name_of_its_own():
    assert len(MUTANTS) == sum(map(len, LISTS)) >= FEWEST


@pytest.mark.parametrize("name", MUTANTS)
def test_patch_fits(name):
    MUTANTS[name].source()


def test_every_mutant_is_found_and_nothing_is_found_without_one():
    with ThreadPoolExecutor(AT_ONCE) as pool:
        results = list(pool.map(meet, [None, *chosen()]))
    say("\n".join(result.stdout.strip() for result in results))
    survivors = [result.stdout + result.stderr[-500:] for result in results if result.returncode]
    assert survivors == []
