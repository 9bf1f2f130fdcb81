"""Evidence of every kind that a page has to show."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any

from tm_cli.errors import TmError
from tm_cli.exit_codes import ExitCode
from tm_cli.gate.checks import apply_check, parse_check
from tm_cli.gate.events import Decided, RunAttempt
from tm_cli.gate.model import Basis, Comparison, Result, Run, Sample, TimeSeries
from tm_cli.gate.outcome import GateOutcome, Record
from tm_cli.gate.policy import Decision, Gate, decide
from tm_cli.render.html import html
from tm_cli.report.writer import report_document
from tm_cli.values.verdict import Verdict

MADE = datetime(2026, 3, 1, 12, 2, tzinfo=UTC)
CHECKS = tuple(parse_check(text) for text in ("p95<100ms", "errors<1%", "p99.9<1s"))
GATE = Gate(fail_on=frozenset({Verdict.FAIL, Verdict.WARN}), checks=CHECKS, confirm=1)
METRICS = {
    "totalRequests": 24000,
    "totalErrors": 96,
    "successRate": 99.6,
    "avgRps": 133.3,
    "peakRps": 201.4,
    "latencyQuantiles": {"p50": 62.1, "p95": 118.4, "p99": 164.0},
}
FACTS = {
    "id": 42,
    "profileName": "checkout",
    "targetUrl": "https://shop.example/checkout",
    "region": "local",
    "startedAt": "2026-03-01T11:59:00Z",
    "finishedAt": "2026-03-01T12:02:00Z",
    "tags": ["nightly", "main"],
    "responseCodes": {"200": 23904, "503": 71, "timeout": 25},
}
COMPARISONS = (
    Comparison(
        "p95", "ms", 118.4, 92.0, 28.7, 24.1, 33.4, 0.0004, 4.2, 5.0, 15.0, "FAIL",
        significant=True, than="baseline",
    ),
    Comparison("p99", "ms", 164.0, 151.0, 8.6, -2.0, 19.9, 0.09, 11.0, 10.0, 30.0, "PASS"),
    Comparison("errors", "%", 0.4, 0.0, 0.4, 0.3, 0.5, 0.001, 0.1, 0.2, 0.5, "WARN"),
    Comparison("throughput", "/s", 133.3, 133.4, -0.1, warn=2.0, fail=10.0, verdict="PASS"),
    Comparison("shortfall", "%", 0.0, None, warn=1.0, fail=5.0, verdict="PASS"),
)  # fmt: skip


def series(length: int = 36, *, slower: float = 1.0, failing: bool = True) -> TimeSeries:
    """A run of `length` moments, five seconds each, that swings up and down twice."""
    return tuple(_moment(n, length, slower, failing) for n in range(length))


def _moment(n: int, length: int, slower: float, failing: bool) -> Sample:
    swing = 0.5 - 0.5 * math.cos(4 * math.pi * n / length)
    wobble = (n * 7919 % 101) / 101
    p50 = (45 + 12 * swing + 4 * wobble) * slower
    return Sample(
        n * 5 + 2.5,
        rps=60 + 138 * swing + 3 * wobble,
        planned=60 + 140 * swing,
        bad=0.02 * wobble if failing and swing > 0.8 else 0.0,
        p50=p50,
        p95=p50 * (1.7 + 0.2 * wobble),
        p99=p50 * (2.2 + 0.8 * wobble),
    )


def result(**changes: Any) -> Result:
    return Result(
        **{
            "run_id": "6f0d2c1e-8a4b-4c39-9d51-0c8d5a3c7b21",
            "verdict": Verdict.FAIL,
            "verdict_text": "FAIL",
            "reasons": ("p95 118 ms, baseline 92 ms, +28.7 % (95 %: +24.1 to +33.4), limit +15 %",),
            "metrics": METRICS,
            "facts": FACTS,
            "basis": Basis(baseline=41, choice="pinned", age=7200.0, reference=17),
            "comparisons": COMPARISONS,
            "notes": ("one worker was lost for 5 s",),
            "series": series(slower=1.3),
        }
        | changes
    )


def baseline(**changes: Any) -> Result:
    metrics = METRICS | {"latencyQuantiles": {"p50": 47.0, "p95": 92.0, "p99": 151.0}}
    facts = {"id": 41, "responseCodes": {"200": 24000}}
    kept = {"metrics": metrics, "facts": facts, "series": series(failing=False)}
    return Result(None, None, None, **(kept | changes))


def record(ours: Result | None = None, theirs: Result | None = None, **changes: Any) -> Record:
    """A subject that its gate has judged, confirmed by a run before it."""
    ours, theirs = ours or result(), theirs or baseline()
    run = Run(ours.run_id, "checkout", "COMPLETED", None)
    decision = decide(ours, GATE)
    earlier: tuple[RunAttempt, ...] = ()
    if decision.is_gated:
        first = replace(ours, series=(), facts=FACTS | {"id": 40})
        earlier = (RunAttempt(decide(first, GATE), replace(run, run_id="5d00"), first, theirs),)
    end = Decided(decision, run, ours, earlier, baseline=theirs)
    return replace(Record("trafficmorph", "checkout", 7, "COMPLETED", end), **changes)


def evidence(*records: Record, code: ExitCode = ExitCode.FAIL) -> GateOutcome:
    return GateOutcome(records or (record(),), GATE, code, MADE)


def passed(**changes: Any) -> Record:
    """A subject whose run is as good as its baseline."""
    good = METRICS | {"latencyQuantiles": {"p50": 47.0, "p95": 92.0, "p99": 151.0, "p99.9": 190.0}}
    ours = result(
        verdict=Verdict.PASS, verdict_text="PASS", reasons=(), metrics=good,
        comparisons=COMPARISONS[1:2], notes=(), series=series(failing=False),
    )  # fmt: skip
    return record(ours, **changes)


def undecided(subject: str = "search") -> Record:
    """A subject whose run ended without a verdict."""
    decision = Decision(
        ExitCode.UNDECIDED, "the history has no entry of run 81c2", "look with `tm history list`",
        "undecided", matched=True,
    )  # fmt: skip
    run = Run("81c2", subject, "RUNNING", None)
    return Record("trafficmorph", subject, 8, "COMPLETED", Decided(decision, run, None))


def unfinished() -> GateOutcome:
    """What stands in a report before anything was sent."""
    error = TmError("tm did not come to its end", code="undecided")
    error.exit_code = ExitCode.UNDECIDED
    return GateOutcome((), Gate(), ExitCode.UNDECIDED, MADE, error)


def hostile(word: str) -> GateOutcome:
    """Evidence every text of which is `word`."""
    check = apply_check(CHECKS[0], METRICS, None)
    comparison = Comparison(word, word, 1.0, 2.0, 3.0, verdict=word, than=word, reason=word)
    facts = dict.fromkeys(FACTS, word) | {"responseCodes": {word: 3}, "tags": [word]}
    ours = result(
        run_id=word, verdict=Verdict.UNKNOWN, verdict_text=word, reasons=(word,), notes=(word,),
        note=word, facts=facts, comparisons=(comparison,), basis=Basis(word, word, 5.0),
        metrics=METRICS | {word: 5, "latencyQuantiles": {word: 1.0}}, series=series(4),
    )  # fmt: skip
    decision = Decision(ExitCode.UNDECIDED, word, word, word, True, (replace(check, reason=word),))
    run = Run(word, word, word, None, resume=word)
    attempt = RunAttempt(decision, run, ours, None)
    end = Decided(decision, run, ours, (attempt,), baseline=baseline(facts=facts, series=series(4)))
    ends = Record(word, word, word, word, end)
    return GateOutcome((ends, ends), GATE, ExitCode.UNDECIDED, MADE)


def page_of(found: GateOutcome) -> str:
    return html(found, report_document(found))


class Page(HTMLParser):
    """What a parser that is not ours makes of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in {"meta", "link", "br"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append((self.open[-1] if self.open else "", data))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """The attributes of every element of that name."""
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def visible(self) -> str:
        """What a reader sees, without style and scripts."""
        return " ".join(text for tag, text in self.texts if tag not in {"script", "style", "title"})

    def data(self, name: str) -> Any:
        """The JSON that the page holds under an id."""
        blocks = iter([text for tag, text in self.texts if tag == "script"])
        found = {attributes.get("id"): next(blocks) for attributes in self.all("script")}
        return json.loads(found[name])
