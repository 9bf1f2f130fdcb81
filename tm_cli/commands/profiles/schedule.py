"""`tm profiles schedule`: when the server starts runs of a profile by itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, tzinfo
from typing import Annotated, Any

import typer

from tm_cli.cli import options
from tm_cli.cli.app import App
from tm_cli.cli.global_options import group
from tm_cli.cli.session import CommandContext, with_session
from tm_cli.errors import UsageError
from tm_cli.values.load.weekly_slots import DAYS, WeeklySlot, read_slots
from tm_cli.values.text import sanitize

app = App()


@app.callback()
@group
def schedule() -> None:
    """Show, set or delete the weekly schedule of a profile."""


@app.command("show")
@with_session
def show(session: CommandContext, profile: options.Profile) -> int:
    """Show when the server starts runs of a profile.

    tm profiles schedule show checkout
    """
    found = _find(session, profile)
    return _emit(session, found["id"], found.get("schedule"))


@app.command("set")
@with_session
def set_schedule(
    session: CommandContext,
    profile: options.Profile,
    *,
    at: Annotated[
        list[str],
        typer.Option(
            metavar="TIME",
            help="Days and time: 'mon,thu 06:30', 'daily 06:30', 'weekdays 18:00'; repeatable.",
            show_default=False,
        ),
    ],
    timezone: Annotated[
        str, typer.Option(metavar="ZONE", help="Time zone, such as Europe/Berlin.")
    ] = "UTC",
    once: Annotated[
        bool, typer.Option("--once", help="Start one run, at the next of these times.")
    ] = False,
    notify: Annotated[
        list[str] | None,
        typer.Option(metavar="EMAIL", help="Address to notify of each run; repeatable."),
    ] = None,
) -> int:
    """Let the server start runs of a profile every week, replacing its schedule.

    The embedded server does so while `tm serve` runs; one that a command starts for itself does
    not.

    tm profiles schedule set checkout --at 'weekdays 06:30' --timezone Europe/Berlin
    """
    from tm_cli.backends.trafficmorph.profile_fields import body_of_change
    from tm_cli.commands.profiles.save import refusal
    from tm_cli.commands.shared.profile_argument import find_profile_fields, resolve_profile

    wanted = {
        "mode": "ONCE" if once else "PERIODIC",
        "timezone": timezone,
        "notifyEmails": list(notify or ()),
        "slots": [
            {"dayOfWeek": slot.day, "time": f"{slot.time:%H:%M}"} for slot in _read_slots(at)
        ],
    }
    number = resolve_profile(session.client, profile, session.context.cwd).profile_id
    stored = find_profile_fields(session.client, number)
    body = body_of_change(stored, {"schedule": wanted})
    with refusal(f"the schedule of profile {number}"):
        saved = session.client.update_profile(number, body).document()
    return _emit(session, number, saved.get("schedule") or wanted)


@app.command("delete")
@with_session
def delete(session: CommandContext, profile: options.Profile, yes: options.Yes = False) -> int:
    """Delete the schedule of a profile; the profile and its runs are kept.

    tm profiles schedule delete checkout --yes
    """
    found = _find(session, profile)
    subject = f"the schedule of profile {found['id']} ({sanitize(found['name'])})"
    options.confirm_deletion(session, subject, yes=yes)
    session.client.delete_schedule(found["id"])
    return session.emit({"profile_id": found["id"]}, lambda: f"deleted {subject}")


def _find(session: CommandContext, text: str) -> dict[str, Any]:
    from tm_cli.commands.shared.profile_argument import find_profile, resolve_profile

    subject = resolve_profile(session.client, text, session.context.cwd)
    return find_profile(session.client, subject).document()


def _read_slots(texts: list[str]) -> list[WeeklySlot]:
    try:
        return list(dict.fromkeys(slot for text in texts for slot in read_slots(text)))
    except ValueError as problem:
        raise UsageError(f"--at: {problem}") from None


def _emit(session: CommandContext, profile_id: int, found: Any) -> int:
    known = found if isinstance(found, Mapping) else {}
    slots = [slot for slot in known.get("slots") or () if isinstance(slot, Mapping)]
    now = session.context.clock.now()
    runs = [_next_run(slot, known.get("timezone"), now) for slot in slots]
    following = min((run.isoformat() for run in runs if run), default=None)
    return session.emit(
        {"profile_id": profile_id, "schedule": found, "next_run_at": following},
        lambda: _describe(session, known, list(zip(slots, runs, strict=True))),
    )


def _next_run(slot: Mapping[str, Any], zone: Any, now: datetime) -> datetime | None:
    """When the slot starts a run; None for one that does not, or that cannot be read."""
    known = _zone(zone)
    if slot.get("enabled") is False or known is None:
        return None
    try:
        [read] = read_slots(f"{DAYS[slot['dayOfWeek'] - 1]} {slot['time']}")
        return read.next_after(now, known)
    except (ValueError, TypeError, KeyError, IndexError, OverflowError):
        return None


def _zone(name: Any) -> tzinfo | None:
    """None where this machine does not know the zone."""
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(name)
    except (ValueError, TypeError, OSError, KeyError):  # also one that is not there
        return None


def _describe(
    session: CommandContext,
    schedule: Mapping[str, Any],
    slots: list[tuple[Mapping[str, Any], datetime | None]],
) -> str:
    from tm_cli.api.client import read_instant
    from tm_cli.render.tables import columns, instant

    if not slots:
        return "no schedule"
    head = ("DAY", "TIME", "LAST FIRED", "NEXT RUN")
    rows = [
        (_day(slot), slot.get("time"), instant(read_instant(slot.get("lastFiredAt"))), instant(run))
        for slot, run in slots
    ]
    once = "once, at the next of these times" if schedule.get("mode") == "ONCE" else "every week"
    return "\n".join(
        [
            f"{once}, in the time zone {sanitize(schedule.get('timezone'))}",
            columns(session.terminal, head, rows),
            *_notified(schedule.get("notifyEmails")),
        ]
    )


def _day(slot: Mapping[str, Any]) -> str:
    number = slot.get("dayOfWeek")
    if isinstance(number, int) and 1 <= number <= len(DAYS):
        return DAYS[number - 1]
    return str(number)


def _notified(addresses: Any) -> Iterator[str]:
    if isinstance(addresses, list) and addresses:
        yield "notifies " + ", ".join(sanitize(str(address)) for address in addresses)
