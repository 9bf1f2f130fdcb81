"""Whatever number stands wherever in the answers, `tm jobs` ends with a documented code."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.simulation.number_texts import NUMBERS, with_numbers
from tm_cli.exit_codes import ExitCode

KNOWN = {int(code) for code in ExitCode} - {ExitCode.INTERNAL}
RESULT = {"score": 0.9, "items": [1, 2.5]}


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    seed=st.integers(0, 2**32),
    numbers=st.lists(NUMBERS, min_size=1, max_size=3),
    share=st.sampled_from((0.02, 0.1, 0.5)),
)
def test_every_command_ends_with_a_code_of_the_table(jobs, clock, strait, seed, numbers, share):
    clock.slept.clear()
    chance, answer = Random(seed), type(strait.api).answer
    job = strait.job(slug=f"export-{len(strait.world.jobs)}", result=RESULT)

    def spoilt(request):
        reply = answer(strait.api, request)
        body = with_numbers(reply.body.decode(), chance, numbers, share=share)
        return replace(reply, body=body.encode())

    run = strait.world.make_run(job["id"])
    strait.api.answer = spoilt
    gate = ("--wait-timeout", "90s", "--no-stream", "--report", "json=report.json")
    for words in (
        ("wait", run.id, "--assert", "score>=0.5", *gate),
        ("start", job["slug"], "--wait", *gate),
        ("show", run.id),
        ("list",),
    ):
        outcome = jobs(*words)
        assert outcome.exit_code in KNOWN, outcome.stderr
    del strait.api.answer
