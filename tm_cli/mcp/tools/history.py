"""Tools for runs that have ended."""

from __future__ import annotations

from typing import Any

from tm_cli.errors import UsageError
from tm_cli.mcp import schema as shared
from tm_cli.mcp.schema import Effect, Schema, Tool, choice, flag, text, whole
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


def list_history(session: CallSession, arguments: dict[str, Any]) -> int:
    filters = {query: arguments.get(name) for name, query in FILTERS.items()}
    for name, query in (("from_", "from"), ("to", "to")):
        filters[query] = _instant(name, arguments.get(name))
    found = session.client.list_history(
        page=arguments.get("page", 0), size=arguments.get("size", 20), **filters
    )
    return session.emit(found.document(), str)


def show_history(session: CallSession, arguments: dict[str, Any]) -> int:
    from tm_cli.commands.history.show import get_ended_run

    found = get_ended_run(session.client, arguments["run_id"]).document()
    if not arguments.get("include_series"):
        found = {name: value for name, value in found.items() if name not in SERIES}
    return session.emit(found, str)


def compare_runs(session: CallSession, arguments: dict[str, Any]) -> int:
    from tm_cli.cli.options import ComparisonFormat
    from tm_cli.commands.history import compare

    first, second = arguments["run_id"], arguments["baseline_run_id"]
    return compare.compare(session, first, second, ComparisonFormat.JSON)


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


HISTORY_TOOLS = (
    Tool(
        "tm_list_history",
        "List ended runs",
        "List runs that have ended, newest first, a page at a time.",
        Effect.READS,
        list_history,
        {
            "profile_id": {**shared.PROFILE_ID, "description": "Only this profile."},
            "auto_verdict": choice("Only this verdict.", ("PASS", "WARN", "FAIL", "NO_BASELINE")),
            "triggered_by": choice("Only runs started this way.", ("api", "manual", "scheduled")),
            "region": text("Only this region."),
            "tag": text("Only runs with this tag.", longest=60),
            "from_": _time("Recorded at or after this time."),
            "to": _time("Recorded at or before this time."),
            "page": whole("Page, from 0. Left out: 0.", least=0, most=1_000_000),
            "size": whole("Rows on a page. Left out: 20.", most=100),
        },
    ),
    Tool(
        "tm_show_history",
        "Show an ended run",
        "Show one run that has ended: verdict, reasons, comparisons, response times and codes.",
        Effect.READS,
        show_history,
        {
            "run_id": shared.HISTORY_ID,
            "include_series": flag("Add the course over time: a point for every five seconds."),
        },
        ("run_id",),
    ),
    Tool(
        "tm_compare_runs",
        "Compare two ended runs",
        "Compare two ended runs of one profile, metric by metric; it decides no gate.",
        Effect.READS,
        compare_runs,
        {
            "run_id": shared.HISTORY_ID,
            "baseline_run_id": {**shared.HISTORY_ID, "description": "History id of the other run."},
        },
        ("run_id", "baseline_run_id"),
    ),
)

HIDDEN = ("callbackSecret", "requestHeaders")
"""A secret, and headers that log in to the target: nothing for an assistant."""


def list_profiles(session: CallSession, arguments: dict[str, Any]) -> int:
    found = session.client.list_profiles()
    return session.emit([profile.document() for profile in found], str)


def show_profile(session: CallSession, arguments: dict[str, Any]) -> int:
    """Show one profile without its secrets."""
    from tm_cli.commands.shared.profile_argument import ProfileRef, find_profile

    number = arguments["profile_id"]
    found = find_profile(session.client, ProfileRef(number, f"profile {number}")).document()
    shown = {name: value for name, value in found.items() if name not in HIDDEN}
    return session.emit({**shown, "hidden": [name for name in HIDDEN if found.get(name)]}, str)


PROFILE_TOOLS = (
    Tool(
        "tm_list_profiles",
        "List profiles",
        "List the stored profiles (descriptions of load tests) with their ids and names.",
        Effect.READS,
        list_profiles,
        {},
    ),
    Tool(
        "tm_show_profile",
        "Show a profile",
        "Show one stored profile: target, method, duration, curve, status. Request headers and "
        "secrets are left out; `hidden` names what was.",
        Effect.READS,
        show_profile,
        {"profile_id": shared.PROFILE_ID},
        ("profile_id",),
    ),
)
