"""`tm baseline`: which run the next ones are compared with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from tm_cli.cli import options
from tm_cli.cli.app import App
from tm_cli.cli.global_options import group
from tm_cli.cli.session import CommandContext, with_session
from tm_cli.errors import TmError
from tm_cli.values.text import sanitize

if TYPE_CHECKING:
    from tm_cli.api.trafficmorph import BaselinePin
    from tm_cli.commands.shared.profile_argument import ProfileRef

app = App()

Region = Annotated[
    str | None,
    typer.Option("--region", metavar="REGION", help="Region of the runs. [TM_REGION, local]"),
]


@app.callback()
@group
def baseline() -> None:
    """Choose the run that later runs are compared with."""


@app.command("pin")
@with_session
def pin(session: CommandContext, run: options.EndedRun) -> int:
    """Use a run as the baseline of its profile until it is unpinned.

    tm baseline pin 42

    tm baseline pin latest:checkout
    """
    from tm_cli.commands.history.show import find_ended_run

    _require_pins(session)
    row = find_ended_run(session, run, for_change=True)
    if row.profile_id is None or row.id is None:
        raise TmError(f"the server does not say of which profile run {sanitize(run)} is")
    pinned = session.client.pin_baseline(row.profile_id, row.id)
    name = sanitize(row.profile_name or f"profile {row.profile_id}")
    return session.emit(pinned.document(), lambda: f"pinned {_describe(pinned, name)}")


@app.command("unpin")
@with_session
def unpin(session: CommandContext, profile: options.Profile, region: Region = None) -> int:
    """Let the server select the baseline again.

    tm baseline unpin checkout
    """
    _require_pins(session)
    subject, where = _subject(session, profile), session.setting("region", region)
    session.client.unpin_baseline(subject.profile_id, where)
    return session.emit(
        {"profile_id": subject.profile_id, "region": where},
        lambda: f"no run is pinned for {subject.name} in {where or 'local'} any more",
    )


@app.command("show")
@with_session
def show(session: CommandContext, profile: options.Profile, region: Region = None) -> int:
    """Show the pinned run.

    tm baseline show checkout
    """
    _require_pins(session)
    subject, where = _subject(session, profile), session.setting("region", region)
    pinned = session.client.get_baseline(subject.profile_id, where)
    return session.emit(pinned.document(), lambda: _shown(pinned, subject, where or "local"))


def _require_pins(session: CommandContext) -> None:
    from tm_cli.commands.runs.features import require_features

    require_features(session, [("baseline_pins", "pin a baseline")])


def _subject(session: CommandContext, text: str) -> ProfileRef:
    from tm_cli.commands.shared.profile_argument import resolve_profile

    return resolve_profile(session.client, text, session.context.cwd)


def _shown(pinned: BaselinePin, subject: ProfileRef, region: str) -> str:
    if pinned.history_id is None:
        where = sanitize(pinned.region or region)
        return (
            f"no run is pinned for {subject.name} in {where}; "
            "the server chooses the newest comparable run that passed"
        )
    shown = _describe(pinned, subject.name)
    if pinned.exists is False:
        shown += (
            "\n  it has been deleted, so the next verdict is NO_BASELINE: "
            "pin another run, or unpin this one"
        )
    return shown


def _describe(pinned: BaselinePin, name: str) -> str:
    from tm_cli.render.tables import instant

    facts = [
        sanitize(pinned.auto_verdict) if pinned.auto_verdict else None,
        f"started {started}" if (started := instant(pinned.started_at)) else None,
    ]
    known = ", ".join(fact for fact in facts if fact)
    where = sanitize(pinned.region or "local")
    return (
        f"run {pinned.history_id}"
        + (f" ({known})" if known else "")
        + (f" as the baseline of {name} in {where}")
    )
