"""Tools for runs that have ended."""

from __future__ import annotations

from typing import Any

from tm_cli.errors import UsageError
from tm_cli.mcp import schema as shared
from tm_cli.mcp.comparison import differences, significance
from tm_cli.mcp.schema import Effect, Schema, Tool, choice, flag, published, text, whole
from tm_cli.mcp.session import CallSession

FILTERS = {
    "profile_id": "profileId",
    "auto_verdict": "autoVerdict",
    "triggered_by": "triggeredBy",
    "region": "region",
    "tag": "tag",
}
SERIES = ("rpsSeries", "latencySeries")
"""A point for every five seconds of a run: thousands of numbers that few questions need."""


def list_history(session: CallSession, arguments: dict[str, Any]) -> Any:
    filters = {query: arguments.get(name) for name, query in FILTERS.items()}
    if filters["triggeredBy"] == "ui":
        filters["triggeredBy"] = "manual"
    for name, query in (("from_", "from"), ("to", "to")):
        filters[query] = _instant(name, arguments.get(name))
    found = session.client.list_history(
        page=arguments.get("page", 0), size=arguments.get("size", 20), **filters
    )
    return found.document()


def list_filters(session: CallSession, arguments: dict[str, Any]) -> Any:
    return session.client.list_history_filters().document()


def get_run(session: CallSession, arguments: dict[str, Any]) -> Any:
    return _run(session, arguments, include_series=arguments.get("include_series", True))


def show_history(session: CallSession, arguments: dict[str, Any]) -> int:
    include_series = arguments.get("include_series", False)
    return session.emit(_run(session, arguments, include_series=include_series), str)


def _run(session: CallSession, arguments: dict[str, Any], *, include_series: bool) -> Any:
    from tm_cli.commands.history.show import get_ended_run

    found = get_ended_run(session.client, arguments["run_id"]).document()
    left_out = () if include_series else SERIES
    return {name: value for name, value in found.items() if name not in left_out}


def delete_run(session: CallSession, arguments: dict[str, Any]) -> Any:
    from tm_cli.commands.history.show import not_found_as_error

    with not_found_as_error(arguments["run_id"]):
        session.client.delete_history_item(arguments["run_id"])
    return {"run_id": arguments["run_id"], "deleted": True}


def compare_runs(session: CallSession, arguments: dict[str, Any]) -> Any:
    """Compare two runs here, and let the server say which differences are more than chance."""
    from tm_cli.api.errors import HttpError
    from tm_cli.commands.history.compare import ended_runs

    first, second = arguments["run_id"], arguments["baseline_run_id"]
    if first == second:
        raise UsageError(f"run {first} is compared with itself", hint="name two runs")
    rows = ended_runs(session, first, second)
    found = differences(*rows)
    try:
        answer = session.client.compare_runs(first, second)
    except HttpError as error:
        return {**found, "significance": None, "significance_error": error.message}
    return {**found, **significance(answer)}


def _instant(name: str, written: str | None) -> str | None:
    """Return a time with an offset, which the API demands; without one it is UTC."""
    if written is None:
        return None
    from datetime import UTC, datetime

    try:
        found = datetime.fromisoformat(written)
    except ValueError:
        raise UsageError(
            f"{name}: invalid time {written!r}: expected ISO 8601", hint="nothing was sent"
        ) from None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).isoformat()


def _time(description: str) -> Schema:
    return text(f"{description} ISO 8601; UTC where it has no offset.", longest=40)


ONE_RUN = {"run_id": shared.HISTORY_ID}
_SERIES_HELP = "Include the course over time: a point for every five seconds, 720 for an hour."

HISTORY_TOOLS: tuple[Tool, ...] = (
    published(
        "tm_list_history",
        "List ended runs",
        "List runs that have ended, newest first, a page at a time: content, page, size, "
        "totalElements, totalPages. A row has its id (for tm_get_run), profile, times, totals, "
        "rates and verdict; response times are in tm_get_run.",
        Effect.READS,
        list_history,
        {
            "profile_id": {**shared.PROFILE_ID, "description": "Only this profile."},
            "auto_verdict": choice("Only this verdict.", ("PASS", "WARN", "FAIL", "NO_BASELINE")),
            "triggered_by": choice(
                "Only runs started this way; ui is another word for manual.",
                ("api", "manual", "scheduled", "ui"),
            ),
            "region": text("Only this region."),
            "tag": text("Only runs with this tag.", longest=60),
            "from_": _time("Recorded at or after this time."),
            "to": _time("Recorded at or before this time."),
            "page": {**whole("Page, from 0.", least=0, most=1_000_000), "default": 0},
            "size": {**whole("Rows on a page.", most=100), "default": 20},
        },
    ),
    published(
        "tm_get_run",
        "Get an ended run",
        "Get one run that has ended: totals, response times and codes, the course over time, and "
        "its verdict with reasons and baseline.",
        Effect.READS,
        get_run,
        {**ONE_RUN, "include_series": flag(_SERIES_HELP, default=True)},
        ("run_id",),
    ),
    published(
        "tm_compare_runs",
        "Compare two ended runs",
        "Compare two ended runs of one profile; it decides no gate. Returns run_id (the newer "
        "one), baseline_run_id, verdict_change, deltas with a (the newer run), b and delta_pct (or "
        "delta_abs where b is 0; regression: true for more than 10 % in a bad direction), and "
        "significance, the server's statistical comparison, which says what is more than chance; "
        "it is null, with significance_error, where the server does not compare.",
        Effect.READS,
        compare_runs,
        {
            "run_id": shared.HISTORY_ID,
            "baseline_run_id": {**shared.HISTORY_ID, "description": "History id of the other run."},
        },
        ("run_id", "baseline_run_id"),
    ),
    published(
        "tm_list_history_filters",
        "List filter values",
        "List what the filters of tm_list_history can be: profiles (deleted ones too), regions, "
        "tags, ways of starting, verdicts.",
        Effect.READS,
        list_filters,
    ),
    published(
        "tm_delete_run",
        "Delete an ended run",
        "Delete a run from the history for good, with its verdict. Later runs are compared with "
        "what is left.",
        Effect.CHANGES,
        delete_run,
        ONE_RUN,
        ("run_id",),
    ),
    Tool(
        "tm_show_history",
        "Show an ended run",
        "Show one run that has ended: verdict, reasons, comparisons, response times and codes.",
        Effect.READS,
        show_history,
        {**ONE_RUN, "include_series": flag(_SERIES_HELP)},
        ("run_id",),
    ),
)
