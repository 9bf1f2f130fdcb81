"""A journey through a process of the load generator, against a site that knows the truth."""

import itertools
import time
from collections import Counter
from typing import Any

import pytest

from tests.unit.server.engine.engine_process import EngineProcess, job
from tests.unit.server.engine.journeys.site import Asked, Says, WebSite
from tm_cli.server.validation import merge_encoded

pytestmark = pytest.mark.process

STEPS = [
    {
        "name": "login",
        "request": "POST /login",
        "body": {"user": "ada"},
        "extract": {"token": {"json": "$.token"}},
    },
    {"think": "50ms"},
    {"name": "browse", "request": "GET /products/7"},
    {
        "name": "checkout",
        "request": "POST /checkout",
        "headers": {"Authorization": "Bearer $$token$$"},
        "checks": {"json": {"$.ok": True}},
    },
]
TOOK = {"/login": 0.04, "/products/7": 0.02, "/checkout": 0.03}


class Shop:
    """Every fiftieth checkout takes 300 ms, and every hundredth is answered wrongly."""

    def __init__(self) -> None:
        self._checkouts = itertools.count()
        self.times: dict[str, list[float]] = {path: [] for path in TOOK}
        self.wrong = 0

    def answer(self, asked: Asked) -> Says | str:
        began, body = time.monotonic(), '{"ok": true, "token": "t1"}'
        seconds = TOOK[asked.path]
        if asked.path == "/checkout":
            assert asked.headers["authorization"] == "Bearer t1"
            number = next(self._checkouts)
            seconds = 0.3 if number % 50 == 10 else seconds
            if number % 100 == 20:
                self.wrong += 1
                body = '{"ok": false}'
        time.sleep(seconds)
        self.times[asked.path].append(time.monotonic() - began)
        return body


def steps(engine: EngineProcess) -> dict[str, list[dict[str, Any]]]:
    """The newest counts of each step, by bucket."""
    newest: dict[tuple[str, int], dict[str, Any]] = {}
    for event in engine.events:
        if event["event"] == "steps":
            for name, counts in event["steps"].items():
                newest[name, event["index"]] = counts
    found: dict[str, list[dict[str, Any]]] = {}
    for (name, _), counts in newest.items():
        found.setdefault(name, []).append(counts)
    return found


def test_counts_are_exact_and_times_are_those_of_the_site() -> None:
    shop = Shop()
    with WebSite(shop.answer) as site:
        load = {"steps": STEPS, "points": [[0, 50], [4, 50]], "duration": 4.0, "cookies": True}
        with EngineProcess(job(site.url, **load, visit_timeout=16.0)) as engine:
            code, finished = engine.finish()
    assert (code, finished["completed"], finished["shortfall"]) == (0, 200, 0)
    assert Counter(asked.path for asked in site.asked) == dict.fromkeys(TOOK, 200)
    assert shop.wrong == 2
    found = steps(engine)
    totals = {name: sum(each["completed"] for each in counts) for name, counts in found.items()}
    assert totals == {"login": 200, "browse": 200, "checkout": 200}
    failures = sum((Counter(each["failures"]) for each in found["checkout"]), Counter[str]())
    assert failures == {"CheckFailed json": 2}
    assert engine.sums("codes") == {"200": 198}
    assert engine.sums("failures") == {"checkout: CheckFailed json": 2}
    for name, path in zip(("login", "browse", "checkout"), TOOK, strict=True):
        merged = merge_encoded(each["response"] for each in found[name])
        true = sorted(shop.times[path])
        for percent in (50, 99) if name == "checkout" else (50,):
            measured = merged.get_value_at_percentile(percent) / 1e6
            truth = true[round(percent / 100 * len(true)) - 1]
            # what opening connections takes on a busy machine is beyond the site's knowledge
            assert truth * 0.99 <= measured <= truth + 0.05, (name, percent)


def test_time_to_think_is_not_part_of_the_response_time() -> None:
    thinking = [{"request": "/"}, {"think": "400ms"}, {"request": "/"}]
    with WebSite(lambda _: "ok") as site:
        load = {"steps": thinking, "points": [[0, 20], [1, 20]], "visit_timeout": 11.0}
        with EngineProcess(job(site.url, **load)) as engine:
            code, _ = engine.finish()
    assert code == 0
    assert len(site.asked) == 40
    (bucket,) = engine.buckets.values()
    assert bucket["p95_ms"] < 300


def test_few_senders_are_named_as_such_and_not_the_target() -> None:
    thinking = [{"request": "/"}, {"think": "1s"}, {"request": "/"}]
    with WebSite(lambda _: "ok") as site:
        load = {"steps": thinking, "points": [[0, 20], [4, 20]], "duration": 4.0, "slots": 4}
        with EngineProcess(job(site.url, **load, timeout=2.0, visit_timeout=5.0)) as engine:
            _, finished = engine.finish()
    assert finished["generator_saturated"]
    assert not finished["downstream_saturated"]
    (note,) = (event["text"] for event in engine.events if event["event"] == "note")
    assert note.startswith("too few senders: all 4 were busy")
