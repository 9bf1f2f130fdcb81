"""`tm calibrate`: the spread between runs on this class of machines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from tm_cli.cli.app import App
from tm_cli.cli.session import CommandContext, with_session
from tm_cli.commands.run import Duration, Rate
from tm_cli.completion.candidates import complete_profiles
from tm_cli.errors import Refused, UsageError

if TYPE_CHECKING:
    from tm_cli.api.trafficmorph import Calibrations

app = App()


@app.command("calibrate")
@with_session
def calibrate(
    session: CommandContext,
    *,
    target: Annotated[
        str | None,
        typer.Argument(
            metavar="[FILE|URL]",
            autocompletion=complete_profiles,
            help="What to test: a profile or a URL; without it, a small service of tm itself.",
        ),
    ] = None,
    runs: Annotated[int, typer.Option(min=3, max=50, help="Number of runs.")] = 5,
    rate: Rate = None,
    duration: Duration = None,
    show: Annotated[bool, typer.Option("--show", help="Show what is known; play nothing.")] = False,
    forget: Annotated[
        bool, typer.Option("--forget", help="Forget what is known of this class; play nothing.")
    ] = False,
) -> int:
    """Measure how much response times differ from run to run on this class of machines.

    Plays several runs of an unchanged target and keeps their spread with the history. Verdicts
    of runs on the same class use it instead of the assumed 2.7 % until the history of their
    profile is long enough. Needs the embedded server.

    tm calibrate

    tm calibrate checkout.yaml --runs 5

    tm calibrate --show
    """
    if (show or forget) and (target, rate, duration) != (None, None, None):
        raise UsageError("--show and --forget stand alone")
    if show and forget:
        raise UsageError("--show and --forget exclude each other")
    if show or forget:
        _require_calibration(session)
        client = session.client
        found = client.forget_calibration() if forget else client.get_calibrations()
    elif target is None:
        found = _measured_by_own_service(session, rate, duration, runs)
    else:
        found = _measured(session, target, rate, duration, runs)
    return session.emit(found.document(), lambda: _table(session, found))


def _require_calibration(session: CommandContext) -> None:
    from tm_cli.commands.runs.features import require_features

    require_features(session, [("calibration", "measure the noise of its machine")])


def _measured(
    session: CommandContext,
    target: str,
    rate: str | None,
    duration: str | None,
    runs: int,
    name: str | None = None,
) -> Calibrations:
    """Play and measure the runs; `name` is the profile's, if not that of its URL."""
    from tm_cli.commands.run import check_reach, profile_of
    from tm_cli.commands.runs.gate import RunGate
    from tm_cli.commands.shared.profile_argument import check_profile_argument
    from tm_cli.commands.shared.unchanged_runs import UnchangedRuns

    document = profile_of(target, rate, duration, cwd=session.context.cwd)
    if document is None:
        check_profile_argument(target, session.context.cwd)
    _require_calibration(session)
    if document is not None:
        check_reach(document["endpointUrl"], RunGate(session).server)
        document = document if name is None else {**document, "name": name}
    unchanged = UnchangedRuns(target, document, region="local")
    return _stored(session, unchanged.play(session, runs, ending="; nothing was stored"))


def _stored(session: CommandContext, ids: Sequence[int]) -> Calibrations:
    from tm_cli.api.errors import HttpError

    try:
        found = session.client.put_calibration(ids)
    except HttpError as error:
        if error.status != 400:
            raise
        raise Refused(
            f"nothing was stored: {error.message}",
            hint="other work on this machine disturbs the measurement; try a lower rate",
        ) from None
    own = (found.calibrations or {}).get(found.runner_class or "")
    used = (own.runs if own else None) or []
    if len(used) < len(ids):
        session.note(f"tm: {len(ids) - len(used)} of {len(ids)} runs could not be used")
    return found


def _measured_by_own_service(
    session: CommandContext, rate: str | None, duration: str | None, runs: int
) -> Calibrations:
    """Without a target, a service that computes for some milliseconds shows the machine's noise."""
    from tm_cli.demo.demo import DemoService

    with DemoService(delay=0.0, rounds=_ROUNDS) as service:
        return _measured(session, service.url, rate, duration, runs, name="tm calibration")


_ROUNDS = 10_000
"""Rounds of a hash, some 3 to 10 ms."""


_MUCH = 2.0  # times the spread that is assumed otherwise


def _table(session: CommandContext, found: Calibrations) -> str:
    from tm_cli.render.tables import columns, instant
    from tm_cli.values.text import as_number, sanitize

    assumed = f"{100 * (found.assumed_spread or 0):.1f} %"
    head = ("RUNNER CLASS", "SPREAD", "SEEN", "RUNS", "MEASURED")
    rows = []
    for name, item in (found.calibrations or {}).items():
        seen = item.measured if isinstance(item.measured, dict) else {}
        shown = (f"{key} {100 * (as_number(value) or 0):.1f} %" for key, value in seen.items())
        spread = f"{100 * (item.spread or 0):.1f} %"
        rows.append(
            (name, spread, ", ".join(shown), len(item.runs or []), instant(item.measured_at))
        )
    known = (found.calibrations or {}).get(found.runner_class or "")
    lines = [f"this machine: {sanitize(found.runner_class)}"]
    if known is None:
        lines.append(f"not calibrated: verdicts assume a spread of {assumed} from run to run")
    else:
        own = f"{100 * (known.spread or 0):.1f} %"
        lines.append(
            f"verdicts here assume a spread of {own} from run to run instead of {assumed},"
        )
        lines.append("until the history of a profile knows better")
        if (known.spread or 0) > _MUCH * (found.assumed_spread or 0):
            lines.append(
                "that is a lot, and hides regressions: was the machine busy? Measure again,"
            )
            lines.append("or drop it: tm calibrate --forget")
    text = "\n".join(lines)
    return f"{text}\n\n{columns(session.terminal, head, rows)}" if rows else text
