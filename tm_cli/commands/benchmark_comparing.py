"""`tm benchmarks compare`: two runs, scenario by scenario."""

from __future__ import annotations

from datetime import UTC, datetime

from tm_cli.api.runloop.models import BenchmarkRun
from tm_cli.commands.benchmark_client import benchmark_client
from tm_cli.commands.comparing import Format
from tm_cli.commands.session import Session
from tm_cli.errors import TmError, UsageError
from tm_cli.gate.comparison import Comparison
from tm_cli.render.comparisons import comparison_data, comparison_markdown, comparison_table
from tm_cli.render.tables import instant
from tm_cli.systems.runloop.differences import compare_scenarios
from tm_cli.systems.runloop.evidence import Measured
from tm_cli.systems.runloop.pinning import get_run, measure
from tm_cli.text import clean


def compare(session: Session, first: str, second: str, chosen: Format) -> int:
    """Compare two runs of one benchmark and print it; nothing is judged."""
    if first == second:
        raise UsageError(f"run {clean(first)} is compared with itself", hint="name two runs")
    client = benchmark_client(session)
    runs = [get_run(client, run_id) for run_id in (first, second)]
    if runs[0].benchmark_id != runs[1].benchmark_id:
        raise TmError(
            f"runs {clean(first)} and {clean(second)} are of different benchmarks",
            code="not_comparable",
        )
    newer, older = sorted(runs, key=lambda run: run.start_time_ms or 0, reverse=True)
    now, before = measure(client, newer), measure(client, older)
    rows, notes = compare_scenarios(now, before)
    items = [_score(now, before), *rows]
    data = {
        "runA": newer.document(),
        "runB": older.document(),
        "comparisons": [comparison_data(item) for item in items],
        "notes": list(notes),
    }
    return session.emit(
        data,
        lambda: _shown(session, (newer, older), items, notes, chosen),
        as_json=chosen is Format.JSON,
    )


def _score(now: Measured, before: Measured) -> Comparison:
    ours, theirs = now.usable_score, before.usable_score
    both = ours is not None and theirs is not None
    return Comparison(
        "score",
        "%",
        value=None if ours is None else ours * 100,
        baseline=None if theirs is None else theirs * 100,
        change=((ours or 0.0) - (theirs or 0.0)) * 100 if both else None,
        than="baseline",
    )


def _shown(
    session: Session,
    runs: tuple[BenchmarkRun, BenchmarkRun],
    items: list[Comparison],
    notes: tuple[str, ...],
    chosen: Format,
) -> str:
    newer, older = runs
    names = (f"A: {clean(newer.id)}", f"B: {clean(older.id)}")
    subject = clean(newer.benchmark_id or "benchmark")
    title = f"{subject}: run {clean(newer.id)} compared with run {clean(older.id)}"
    facts = [f"A is {_state(newer)}, B is {_state(older)}", *notes]
    if chosen is Format.MARKDOWN:
        return comparison_markdown(items, title=title, names=names, notes=facts)
    table = comparison_table(session.terminal, items, names=names, indent=2)
    return "\n".join([title, *(f"  {line}" for line in facts), table])


def _state(run: BenchmarkRun) -> str:
    return f"{clean(run.state) or 'in no state'}, started {began(run.start_time_ms) or 'some time'}"


def began(milliseconds: int | None) -> str | None:
    """Return a time of the API in UTC; None for one that is none."""
    if milliseconds is None:
        return None
    try:
        return instant(datetime.fromtimestamp(milliseconds / 1000, UTC))
    except (OverflowError, OSError, ValueError):
        return None
