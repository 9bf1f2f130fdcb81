"""kill -9 of server, engine and worker: `python tests/simulation/soak/kills_at_random.py [SCALE]`.

200 kills at scale 1, in rounds as in kills.py, over data directories that live through
all of them. Exits 1 at the first thing that does not hold, with the seed of its round.
"""

from __future__ import annotations

import sys
import tempfile
import time
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))

from tests.simulation.report import say
from tests.unit.server.kills import KILLS_IN_ROUND, play

FIRST = 10_000_000
KILLS = 200
LATEST = 11.0
"""Seconds after a first request: by then a whole run is over."""


def main(scale: float) -> int:
    """Play the rounds and return the exit code."""
    rounds = max(round(KILLS * scale / KILLS_IN_ROUND), 1)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as directory:
        try:
            kills = play(Path(directory), range(FIRST, FIRST + rounds), latest=LATEST)
        except Exception:
            say(traceback.format_exc())
            return 1
    took = time.monotonic() - began
    say(f"{kills} kills in {took:.0f} s: no finished run lost or changed, every next run fine")
    return 0


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]) if len(sys.argv) > 1 else 1.0))
