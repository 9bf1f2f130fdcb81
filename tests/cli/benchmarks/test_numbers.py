"""Whatever number stands wherever in the answers, `tm benchmarks` ends with a documented code."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.simulation.number_texts import NUMBERS, with_numbers
from tm_cli.exit_codes import ExitCode

KNOWN = {int(code) for code in ExitCode} - {ExitCode.INTERNAL}


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    seed=st.integers(0, 2**32),
    numbers=st.lists(NUMBERS, min_size=1, max_size=3),
    share=st.sampled_from((0.02, 0.1, 0.5)),
)
def test_every_command_ends_with_a_code_of_the_table(bench, clock, world, seed, numbers, share):
    clock.slept.clear()
    chance = Random(seed)
    world.benchmark(scenarios=3)
    old, new = (world.finished_run((1.0, 0.5, score))["id"] for score in (1.0, 0.0))
    answer = type(world).answer

    def spoilt(request):
        reply = answer(world, request)
        text = with_numbers(reply.body.decode(), chance, numbers, share=share)
        return replace(reply, body=text.encode())

    world.answer = spoilt
    gate = ("--wait-timeout", "90s", "--verdict-timeout", "5s", "--report", "json=report.json")
    for words in (
        ("wait", new, "--min-score", "80%", "--max-drop", "5%", "--baseline", old, *gate),
        ("show", new),
        ("list",),
        ("compare", new, old),
    ):
        outcome = bench(*words)
        assert outcome.exit_code in KNOWN, outcome.stderr
    del world.answer
