"""Everything in tm that shows text from elsewhere: hostile strings in, what a user sees out."""

from __future__ import annotations

import io
import json
import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

from tests.simulation.clock import VirtualClock
from tests.simulation.hostile import text
from tm_cli.api.responses import RawAnswer, parse_response
from tm_cli.api.trafficmorph import HistoryRow, LiveStatus
from tm_cli.backends.trafficmorph.results import as_result
from tm_cli.backends.trafficmorph.runs import from_status
from tm_cli.cli.error_handler import explain
from tm_cli.commands.shared.follow import open_view
from tm_cli.errors import TmError
from tm_cli.gate.events import (
    Awaited,
    Decided,
    Ended,
    Event,
    Observed,
    Repeated,
    RunAttempt,
    RunStarted,
)
from tm_cli.gate.events import Unobserved as Unanswered
from tm_cli.gate.model import Result, Run
from tm_cli.gate.outcome import GateOutcome, Record, exit_code_of
from tm_cli.gate.policy import Gate, decide, from_error
from tm_cli.render.comparisons import comparison_markdown
from tm_cli.render.formats.ci_log import annotated, assignment, dotenv
from tm_cli.render.formats.ci_log import outputs as github_outputs
from tm_cli.render.formats.csv import series_csv
from tm_cli.render.formats.json_document import document, error_document, to_json
from tm_cli.render.formats.junit import junit_report
from tm_cli.render.formats.markdown import markdown
from tm_cli.render.formats.openmetrics import openmetrics
from tm_cli.render.summary import explanation, run_summary
from tm_cli.render.tables import columns
from tm_cli.report.writer import report_document, run_data
from tm_cli.runtime.environment import Environment
from tm_cli.runtime.terminal import Terminal
from tm_cli.values.text import sanitize
from tm_cli.values.verdict import Verdict

Say = Callable[[], str]
STRINGS_PER_CASE = 10


class Case:
    """A run whose every text is hostile."""

    def __init__(self, chance: random.Random) -> None:
        self._say: Say = lambda: text(chance)
        say = self._say
        self.run = Run(say(), sanitize(say()), sanitize(say()), datetime.now(UTC), None)
        self.result = as_result(HistoryRow.model_validate(self._row(chance)))
        self.status = LiveStatus.model_validate(
            {
                "runId": self.run.run_id,
                "status": say(),
                "elapsedSeconds": 1.0,
                "durationSeconds": 9.0,
                "responseCodeCounts": {say(): 3},
                "currentRps": chance.choice((1.0, 1e300)),
            }
        )
        gate = Gate(fail_on=frozenset({Verdict.FAIL}))
        self.decision = decide(self.result, gate)
        self.problem = self._problem(chance)
        self.ending = Decided(
            from_error(self.problem, gate) if chance.random() < 0.3 else self.decision,
            self.run,
            self.result,
            (RunAttempt(self.decision, self.run, self.result),),
        )

    def _row(self, chance: random.Random) -> dict[str, Any]:
        say = self._say
        return {
            "id": 7,
            "runId": self.run.run_id,
            "autoVerdict": chance.choice(("PASS", "FAIL", say())),
            "autoVerdictReasons": chance.choice((json.dumps([say(), say()]), [say()], say())),
            "outcome": chance.choice((None, None, say())),
            "totalRequests": 10,
            "totalErrors": 1,
            "avgRps": 1.0,
            "peakRps": 1.0,
            "latencyQuantiles": json.dumps({say(): 1.5}),
            "autoCompareSnapshot": {"baselineChoice": say(), "comparisons": self._comparisons()},
            "autoCompareBaselineRunId": 5,
            "against": chance.choice((None, {"targetUrl": say()})),
            "notes": [say()],
        }

    def _comparisons(self) -> list[dict[str, Any]]:
        say = self._say
        texts = ("metric", "unit", "verdict", "than", "reason")
        return [{"value": 1.0, "baseline": 2.0, **{name: say() for name in texts}}]

    def _problem(self, chance: random.Random) -> TmError:
        """An error that tells what a server said."""
        say = self._say
        status = chance.choice((400, 401, 409, 429, 500, 302, 200, 299))
        kind = chance.choice(("application/json", say()))
        body = json.dumps({chance.choice(("error", "message")): say(), "code": say()}).encode()
        headers = {"content-type": kind, "location": say(), "retry-after": say()}
        try:
            parse_response(RawAnswer(sanitize(say()), status, headers, body))
        except TmError as error:
            return error
        return TmError(say(), hint=say())

    def events(self) -> list[Event]:
        looked = from_status(self.run, self.status, None)
        return [
            RunStarted(self.run),
            Observed(looked),
            Unanswered(self._say(), 1.0),
            Ended(looked),
            Awaited(self._say()),
            Repeated(RunAttempt(self.decision, self.run, self.result), 1),
            self.ending,
        ]


def outputs(case: Case) -> Iterator[tuple[str, str, bool]]:
    """Name, output and whether it is redrawn, of every sink."""
    yield "summary", run_summary(_terminal()[0], case.ending), False
    items = case.result.comparisons
    title = case.run.subject
    yield "markdown", comparison_markdown(items, title=title, names=("A", "B")), False
    yield (
        "json",
        to_json(document(run_data(Record("trafficmorph", case.run.subject, 1, None, case.ending)))),
        False,
    )
    yield "json error", to_json(error_document(case.problem)), False
    yield "error", _errors(case), False
    yield from _reports(case)
    for live in (False, True):
        for subjects in ((case.run.subject,), (case.run.subject, sanitize(case.run.run_id))):
            yield f"view of {len(subjects)}", _view(case, subjects, live=live), live
    for terminal in (_terminal()[0], _terminal(out_is_terminal=True)[0]):
        shown = columns(terminal, ("A", "B"), [(case.run.run_id, _verdict(case.result))])
        yield "table", shown, terminal.out_is_terminal


def _reports(case: Case) -> Iterator[tuple[str, str, bool]]:
    """Every format of a report that others read, of two runs."""
    names = (case.run.subject, sanitize(case.run.run_id))
    records = tuple(Record("tm", name, 1, sanitize(name), case.ending) for name in names)
    gate = Gate(fail_on=frozenset({Verdict.FAIL}))
    found = GateOutcome(records, gate, exit_code_of(records), datetime.now(UTC))
    yield "markdown report", markdown(found), False
    yield "json report", to_json(report_document(found)), False
    yield "junit", junit_report(found), False
    yield "csv", series_csv(found), False
    yield "dotenv", dotenv(found), False
    yield "metrics", openmetrics(found), False
    yield "explanation", "\n".join([explanation(found)[0], *explanation(found)[1]]), False
    yield "annotations", "".join(f"{line}\n" for line in annotated(found)), False
    pairs = list(github_outputs(found))
    yield "outputs", "".join(assignment(*pair, "0123") for pair in pairs), False


def _verdict(result: Result) -> str:
    return result.verdict_text or "-"


def _terminal(**options: Any) -> tuple[Terminal, io.StringIO]:
    err = io.StringIO()
    return Terminal(io.StringIO(), err, width=60, **options), err


def _view(case: Case, subjects: tuple[str, ...], *, live: bool) -> str:
    terminal, err = _terminal(live=live, err_color=live)
    with open_view(terminal, VirtualClock(), quiet=False, subjects=subjects) as view:
        for event in case.events():
            view.show(event, 0)
    return err.getvalue()


def _errors(case: Case) -> str:
    terminal, err = _terminal()

    def forbidden(*_arguments: object) -> NoReturn:
        raise AssertionError("no directory and no server is needed to tell an error")

    context = Environment(
        environ={},
        terminal=terminal,
        clock=VirtualClock(),
        cwd=Path(),
        find_user_dir=forbidden,
        find_state_dir=forbidden,
        launch=forbidden,
    )
    explain(case.problem, context)
    return err.getvalue()
