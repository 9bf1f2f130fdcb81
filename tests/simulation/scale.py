"""How much the fault engine plays, and from which seeds on.

`TM_FAULT_SCALE` is the part of each full size that is played: 0.05 by default and in `.ci/run`.
The seeds are others for each commit, and the same whenever it is tested.
`TM_FAULT_SEED=n` replays one, and `TM_FAULT_FIRST_SEED=n` a whole run, which prints its first seed.
"""

from __future__ import annotations

import os
import subprocess
from functools import cache
from pathlib import Path

import pytest

SCALE = float(os.environ.get("TM_FAULT_SCALE", "0.05"))
REPLAYED = os.environ.get("TM_FAULT_SEED")
FIRST = os.environ.get("TM_FAULT_FIRST_SEED")
ROTATION = 9_000_000
"""First seeds are below this; those of the soak are above."""

whole = pytest.mark.skipif(
    REPLAYED is not None or SCALE < 1, reason="says something of the full size only"
)
"""Of a test that compares how often something happened with how often it should."""


def scaled(count: int) -> int:
    """That part of a full size that is played; at least one."""
    return max(round(count * SCALE), 1)


def seeds(count: int) -> range:
    """The seeds of a test whose full size is `count`; `TM_FAULT_SEED` alone when it is set."""
    if REPLAYED is not None:
        return range(int(REPLAYED), int(REPLAYED) + 1)
    return range(first_seed(), first_seed() + scaled(count))


def one_in(every: int = max(round(1 / SCALE), 1)) -> slice:
    """A choice of one in `every` that is another one for each commit; all at full size."""
    return slice(None) if SCALE >= 1 else slice(first_seed() % every, None, every)


def cores() -> int:
    """How many processes may compute at the same time; one where pytest uses all cores itself."""
    return 1 if "PYTEST_XDIST_WORKER" in os.environ else os.cpu_count() or 1


@cache
def first_seed() -> int:
    """The seed at which this commit begins, unless one is given; 0 outside a repository."""
    if FIRST is not None:
        return int(FIRST)
    command = ["git", "rev-parse", "HEAD"]
    try:
        found = subprocess.run(
            command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return 0
    return int(found.stdout[:12], 16) % ROTATION


def description() -> str:
    """The choice of this run in a line."""
    chosen = f"seed {REPLAYED}" if REPLAYED is not None else f"seeds from {first_seed()}"
    return f"fault engine: scale {SCALE:g}, {chosen}"
