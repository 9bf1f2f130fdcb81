"""The part of the engine that is quick enough to meet every mutant: `python -m … NAME`.

Prints what found the mutant, or that nothing did. Without a name nothing is mutated, and nothing
may be found.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))

from tests.simulation.mutants.catalogue import MUTANTS
from tests.simulation.mutants.hook import install
from tests.simulation.report import say

BROKEN = re.compile(r"\b(?:NameError|UnboundLocalError|ImportError|SyntaxError)\b")
"""Ends of a mutant that is no program: they prove nothing about the checks."""

# tm is imported only inside the checks, once the mutant is installed.


def _corners(system: str) -> Iterator[str]:
    from tests.simulation.corners import corners

    for _, corner in corners(system):
        yield from (f"{corner.name}: {wrong}" for wrong in corner.judge()[1])


def _random_schedules(system: str) -> Iterator[str]:
    return _schedules(400 if system == "trafficmorph" else 100, system, "raw_seam")


def _over_http(system: str) -> Iterator[str]:
    return _schedules(40, system, "httpx_seam")


def _schedules(count: int, system: str, front_end: str) -> Iterator[str]:
    from importlib import import_module

    from tests.simulation.checkers import violations
    from tests.simulation.system import system_named

    run = import_module(f"tests.simulation.{front_end}").run
    for seed in range(count):
        schedule = system_named(system).generate(seed)
        yield from (f"seed {seed}: {wrong}" for wrong in violations(schedule, run(schedule)))


def _answers(_system: str) -> Iterator[str]:
    from tests.simulation.test_answers import UNUSABLE, accepts

    yield from (f"accepts {name}" for name in UNUSABLE if accepts(name))


def _exceptions(_system: str) -> Iterator[str]:
    from tests.simulation.test_httpx_seam import MAYBE_SENT, maybe_sent_after

    for name, maybe_sent in MAYBE_SENT.items():
        if maybe_sent_after(name) is not maybe_sent:
            yield f"{name} is misjudged"


def _text(_system: str) -> Iterator[str]:
    from tests.simulation.test_hostile_text import escapes

    yield from (f"{sink}: {what}" for seed in range(40) for sink, what in escapes(seed))


def _mistakes(_system: str) -> Iterator[str]:
    from tests.simulation.mistakes import FAIL_ONS, GATE, Mistake
    from tests.simulation.test_bad_input import wrongs, wrongs_with

    for words in FAIL_ONS:
        yield from wrongs_with(Mistake((*GATE[:4], f"--fail-on={words}")))
    yield from chain.from_iterable(map(wrongs, range(40)))


def _wall_clock(_system: str) -> Iterator[str]:
    from tests.simulation.test_metamorphic import wall_clock_matters

    yield from (f"the wall clock matters, seed {s}" for s in range(60) if wall_clock_matters(s))


Check = Callable[[str], Iterator[str]]
OF_A_SYSTEM: dict[str, Check] = {
    "corners": _corners,
    "schedules": _random_schedules,
    "http": _over_http,
}
SHARED: dict[str, Check] = {
    "answers": _answers,
    "exceptions": _exceptions,
    "text": _text,
    "mistakes": _mistakes,
    "wall clock": _wall_clock,
}


def findings(system: str, first: str = "corners") -> Iterator[str]:
    """What is wrong with tm, by all checks that meet this system, one of them before the others."""
    checks = OF_A_SYSTEM | SHARED if system == "trafficmorph" else OF_A_SYSTEM
    in_turn = sorted(checks, key=lambda name: name != first)
    return chain.from_iterable(_guarded(checks[name], system) for name in in_turn)


def _guarded(check: Check, system: str) -> Iterator[str]:
    try:
        yield from check(system)
    except Exception as problem:
        yield f"crash: {problem!r}"


def everything() -> Iterator[str]:
    """The findings of all systems."""
    from tests.simulation.system import NAMES

    return chain.from_iterable(map(findings, NAMES))


def main(name: str | None) -> int:
    """Return 0 when a mutant was found, or when there was none and nothing is wrong."""
    if name is None:
        found = next(everything(), None)
        say(f"unmutated: {found or 'nothing is wrong'}")
        return int(found is not None)
    mutant = MUTANTS[name]
    install(mutant)
    found = next(findings(mutant.system, mutant.first), None)
    is_broken = found is not None and BROKEN.search(found) is not None
    told = "survives" if found is None else f"found by {found[:150]}"
    say(f"{name}: {'is no program: ' * is_broken}{told}")
    return int(found is None or is_broken)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else None))
