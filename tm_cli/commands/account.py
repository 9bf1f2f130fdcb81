"""`tm account` and `tm regions`: what the account may do, has used, and where load comes from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from tm_cli.cli.app import App
from tm_cli.cli.global_options import group
from tm_cli.cli.session import CommandContext, with_session
from tm_cli.commands.shared.lists import ListOptions, ListView, show_list
from tm_cli.values.text import sanitize

if TYPE_CHECKING:
    from tm_cli.api.trafficmorph import Account

app = App()
regions_app = App()

_BAR = 10
_NO_LIMIT = "no limit"


@app.callback()
@group
def account() -> None:
    """Show the account: its limits and what is used of them."""


@app.command("show")
@with_session
def show(session: CommandContext) -> int:
    """Show plan, usage, limits and features of the account behind the key.

    tm account show
    """
    found = session.account
    return session.emit(found.document(), lambda: describe_account(session, found))


@regions_app.callback()
@group
def regions() -> None:
    """List the regions that can generate load."""


@regions_app.command("list")
@with_session
def list_regions(session: CommandContext, listing: ListOptions) -> int:
    """List the regions that can generate load, with their agents.

    tm regions list
    """
    from tm_cli.api.trafficmorph import Region

    view = ListView[Region](
        noun="regions",
        columns={
            "REGION": lambda region: region.region_code,
            "NAME": lambda region: region.display_name,
            "LOCAL": lambda region: "yes" if region.is_local else None,
            "AGENTS": lambda region: region.agent_count,
            "CONNECTED": lambda region: region.connected_count,
        },
        fields=Region.field_names(),
        optional=("LOCAL",),
    )
    return show_list(session, listing, view, session.client.list_regions)


def describe_account(session: CommandContext, found: Account) -> str:
    """Return plan, usage with bars, limits and features as text."""
    features = [name for name, value in sorted(_features(found).items()) if value is True]
    lines = [*_plan(found)]
    for title, rows in (("Usage", _usage(found)), ("Limits", _limits(found))):
        lines += ["", title, *_aligned(rows)] if rows else []
    if features:
        lines += ["", *_wrapped(session, f"Features: {', '.join(features)}")]
    return "\n".join(lines)


def _plan(found: Account) -> Iterator[str]:
    from tm_cli.render.tables import instant

    self_hosted = found.deployment_mode == "SELF_HOSTED"
    where = " (self-hosted)" if self_hosted else ""
    yield f"Plan {sanitize(found.subscription_type or '-')}{where}"
    if found.subscription_status not in (None, "NONE"):
        yield f"Subscription {sanitize(found.subscription_status)}"
    if found.trial_ends_at:
        ended = "ended" if found.trial_expired else "ends"
        yield f"The trial {ended} {instant(found.trial_ends_at)}"
    if found.grace_ends_at:
        yield f"The grace period ends {instant(found.grace_ends_at)}"


def _usage(found: Account) -> list[tuple[str, ...]]:
    from tm_cli.api.trafficmorph import AccountLimits, AccountUsage

    usage, limits = found.usage or AccountUsage(), found.limits or AccountLimits()
    counts = {
        "requests this month": (usage.used_requests, usage.included_requests or None),
        "active runs": (usage.active_run_count, limits.max_concurrent_runs or None),
        "profiles": (usage.profile_count, limits.max_profiles),
        "schedule slots": (usage.scheduled_run_count, limits.max_scheduled_runs),
        "variables sets": (usage.variables_set_count, limits.max_variables_sets),
    }
    return [
        (name, f"{used:,}", *_share(used, most))
        for name, (used, most) in counts.items()
        if used is not None
    ]


def _share(used: int, most: int | None) -> tuple[str, str]:
    """A limit, and how much of it is used."""
    if most is None:
        return _NO_LIMIT, ""
    share = used / most if most > 0 else 1.0
    return f"of {most:,}", f"{_bar(share)} {100 * share:.0f} %"


def _bar(share: float) -> str:
    """Draw a share from 0 to 1; what is used at all has a block, and so has what is left."""
    most = _BAR if share >= 1 else _BAR - 1
    full = min(max(round(share * _BAR), 1 if share > 0 else 0), most)
    return "█" * full + "░" * (_BAR - full)


_LIMITS = (
    ("max_rps", "rate of all runs", "requests/s", _NO_LIMIT),
    ("max_profile_rps", "rate of one run", "requests/s", _NO_LIMIT),
    ("api_requests_per_minute", "API requests", "a minute", _NO_LIMIT),
    ("history_retention_days", "history", "days", "default of the server"),
    ("max_request_bytes", "body and headers", "bytes", _NO_LIMIT),
    ("max_request_headers_bytes", "headers", "bytes", _NO_LIMIT),
    ("max_request_header_count", "headers, number", "", _NO_LIMIT),
    ("max_request_header_bytes", "one header", "bytes", _NO_LIMIT),
    ("max_notify_emails", "e-mail addresses", "a list", "none"),
)
"""Limits without usage: the field, its name, its unit, and what 0 or null means."""


def _limits(found: Account) -> list[tuple[str, ...]]:
    """The limits that the server tells."""
    told = found.limits.model_dump(exclude_unset=True) if found.limits else {}
    return [
        (name, f"{told[field]:,} {unit}".strip() if told[field] else nothing)
        for field, name, unit, nothing in _LIMITS
        if field in told
    ]


def _features(found: Account) -> dict[str, Any]:
    return found.features.document() if found.features else {}


def _aligned(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for name, *cells in rows:
        first, *rest = widths
        shown = [f"{cells[0]:>{rest[0]}}"] if len(cells) > 1 else cells[:1]
        shown += [f"{cell:<{width}}" for cell, width in zip(cells[1:], rest[1:], strict=True)]
        yield f"  {name:<{first}}  {'  '.join(shown)}".rstrip()


def _wrapped(session: CommandContext, text: str) -> list[str]:
    import textwrap

    width = session.terminal.width if session.terminal.out_is_terminal else 10_000
    return textwrap.wrap(sanitize(text), width, subsequent_indent="  ")
