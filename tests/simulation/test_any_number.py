"""Whatever number stands wherever in the answers, a gate ends with a documented code."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.services.trafficmorph import (
    KEY,
    RUN,
    detail,
    page,
    profile,
    row,
    series,
    status,
    verdict_snapshot,
)
from tests.simulation.number_texts import EXTREME, NUMBERS, with_numbers
from tests.simulation.unending import RawServer, json_answer
from tm_cli.exit_codes import ExitCode

AGAINST = {
    "totalRequests": 600, "totalErrors": 3, "avgRps": 3.0, "latencyQuantiles": {"p50": 1, "p95": 2},
}  # fmt: skip
DOCUMENTS = {
    "profile": profile(),
    "start": {"runId": RUN, "status": "RUNNING", "profileId": 42},
    "status": status(plannedRps=10.0),
    "history": page(row()),
    "detail": detail(
        autoCompareSnapshot=verdict_snapshot(), **series(), against=json.dumps(AGAINST)
    ),
    "old detail": detail(successRate=None, autoCompareSnapshot=None),
}
KNOWN = {int(code) for code in ExitCode} - {ExitCode.INTERNAL}


class Service:
    """A run that ends after its first look and has passed, in answers with other numbers."""

    def __init__(self):
        self.begin(random.Random(0), ["0"], 0.0)

    def begin(self, chance, numbers, share, *, only=None):
        self._spoil = lambda text: with_numbers(text, chance, numbers, share=share)
        self._only = only
        self._detail = chance.choice(("detail", "old detail"))
        self.asked = []

    def __call__(self, request):
        name = self._name(request.line)
        self.asked.append(name)
        document = page() if name == "snapshot" else DOCUMENTS[name]
        if name == "status" and self.asked.count("status") > 1:
            document = {**document, "status": "IDLE"}
        text = json.dumps(document)
        return json_answer((self._spoil(text) if self._only in (None, name) else text).encode())

    def _name(self, line):
        method, target, _ = line.split(" ")
        if method == "POST":
            return "start"
        if target.endswith("/status"):
            return "status"
        if "/history?" in target:
            return "history" if "start" in self.asked else "snapshot"
        return self._detail if "/history/" in target else "profile"


@pytest.fixture(scope="module")
def service():
    return Service()


@pytest.fixture(scope="module")
def environ(service):
    with RawServer(service) as server:
        yield {"TM_BASE_URL": server.url, "TM_API_KEY": KEY}


REPORTS = [f"{kind}=report.{kind}" for kind in ("json", "junit", "markdown", "html", "csv")]
GATE = [
    *("runs", "start", "42", "--wait", "--fail-on", "FAIL", "--verdict-timeout", "5s"),
    *("--wait-timeout", "90s", "--assert", "p95<1s", "--assert", "errors<5%"),
    *(word for report in REPORTS for word in ("--report", report)),
    *("--report", "metrics=metrics.txt", "--report", "dotenv=gate.env"),
]
LOOKS = (
    ("history", "show", "7"),
    ("history", "compare", "7", "8"),
    ("runs", "status", "42"),
    ("profiles", "show", "42"),
)

any_numbers = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
seeds = st.integers(0, 2**32)
shares = st.sampled_from((0.02, 0.1, 0.5))


@any_numbers
@given(seed=seeds, numbers=st.lists(NUMBERS, min_size=1, max_size=3), share=shares)
def test_gate_ends_with_a_code_of_the_table(tm, clock, environ, service, seed, numbers, share):
    clock.slept.clear()
    chance = random.Random(seed)
    service.begin(chance, numbers, share)
    outcome = tm(*GATE, environ=environ, live=chance.random() < 0.5)
    assert outcome.exit_code in KNOWN, outcome.stderr
    assert "Traceback" not in outcome.stderr
    assert service.asked.count("start") <= 1
    again = tm("report", "eval", "report.json")
    assert again.exit_code == outcome.exit_code or outcome.exit_code not in {0, 2}, again.stderr
    assert again.exit_code in KNOWN - {0} or outcome.exit_code == 0
    assert tm("report", "explain", "report.json").exit_code == 0


@any_numbers
@given(seed=seeds, numbers=st.lists(NUMBERS, min_size=1, max_size=3), share=shares)
def test_other_commands_end_with_a_code_of_the_table(
    tm, clock, environ, service, seed, numbers, share
):
    clock.slept.clear()
    service.begin(random.Random(seed), numbers, share)
    for words in LOOKS:
        for wants_json in ([], ["--json"]):
            outcome = tm(*words, *wants_json, environ=environ)
            assert outcome.exit_code in KNOWN, outcome.stderr


@pytest.mark.parametrize("number", EXTREME)
def test_verdict_survives_any_number_in_the_detail(tm, environ, service, number):
    """A detail that cannot be read is left out; the list has told the verdict."""
    service.begin(random.Random(1), [number], 1.0, only="detail")
    outcome = tm(*GATE[:8], environ=environ)
    assert outcome.exit_code in {ExitCode.OK, ExitCode.UNDECIDED}, outcome.stderr


@pytest.mark.parametrize("digits", [309, 400, 5000])
def test_list_with_an_absurd_number_decides_nothing(tm, environ, service, digits):
    service.begin(random.Random(0), ["9" * digits], 1.0, only="history")
    outcome = tm(*GATE[:8], environ=environ)
    assert outcome.exit_code == ExitCode.UNDECIDED
