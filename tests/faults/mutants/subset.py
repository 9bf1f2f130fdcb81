"""The part of the engine that is quick enough to meet every mutant: `python -m … NAME`.

Prints what found the mutant, or that nothing did. Without a name nothing is mutated, and nothing
may be found.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from faults.mutants.catalogue import MUTANTS
from faults.mutants.hook import install
from faults.report import say


def findings(system: str) -> Iterator[str]:
    """What is wrong with tm, the quickest checks first; tm is imported only here."""
    yield from _of_system(system, 400 if system == "trafficmorph" else 100)
    if system == "trafficmorph":
        yield from _answers()
        yield from _exceptions()
        yield from _hostile_text()
        yield from _mistakes()
    yield from _schedules(40, system, "httpx_seam")
    if system == "trafficmorph":
        yield from _wall_clock()


def everything() -> Iterator[str]:
    """The findings of all systems."""
    from faults.system import NAMES

    return chain.from_iterable(map(findings, NAMES))


def _of_system(system: str, count: int) -> Iterator[str]:
    from faults.corners import corners

    for _, corner in corners(system):
        yield from (f"{corner.name}: {wrong}" for wrong in corner.judge()[1])
    yield from _schedules(count, system, "raw_seam")


def _answers() -> Iterator[str]:
    from faults.test_answers import UNUSABLE, accepts

    yield from (f"accepts {name}" for name in UNUSABLE if accepts(name))


def _mistakes() -> Iterator[str]:
    from faults.mistakes import FAIL_ONS, GATE, Mistake
    from faults.test_bad_input import wrongs, wrongs_with

    for words in FAIL_ONS:
        yield from wrongs_with(Mistake((*GATE[:4], f"--fail-on={words}")))
    yield from chain.from_iterable(map(wrongs, range(40)))


def _hostile_text() -> Iterator[str]:
    from faults.test_hostile_text import escapes

    yield from (f"{sink}: {what}" for seed in range(40) for sink, what in escapes(seed))


def _exceptions() -> Iterator[str]:
    from faults.test_httpx_seam import MAYBE_SENT, maybe_sent_after

    for name, maybe_sent in MAYBE_SENT.items():
        if maybe_sent_after(name) is not maybe_sent:
            yield f"{name} is misjudged"


def _schedules(count: int, system: str, front_end: str) -> Iterator[str]:
    from importlib import import_module

    from faults.checkers import violations
    from faults.system import system_named

    run = import_module(f"faults.{front_end}").run
    for seed in range(count):
        schedule = system_named(system).generate(seed)
        yield from (f"seed {seed}: {wrong}" for wrong in violations(schedule, run(schedule)))


def _wall_clock() -> Iterator[str]:
    from faults.test_metamorphic import wall_clock_matters

    yield from (f"the wall clock matters, seed {s}" for s in range(60) if wall_clock_matters(s))


def main(name: str | None) -> int:
    """Return 0 when a mutant was found, or when there was none and nothing is wrong."""
    if name is not None:
        install(MUTANTS[name])
    found = next(_guarded(everything() if name is None else findings(MUTANTS[name].system)), None)
    say(f"{name}: {'survives' if found is None else 'found by ' + found[:150]}")
    return int((found is None) == (name is not None))


def _guarded(found: Iterator[str]) -> Iterator[str]:
    try:
        yield from found
    except Exception as problem:
        yield f"crash: {problem!r}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else None))
