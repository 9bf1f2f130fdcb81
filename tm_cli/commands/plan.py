"""`tm plan`: what a profile can detect, and how to run to detect more."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from tm_cli.cli import options
from tm_cli.cli.app import App
from tm_cli.cli.session import CommandContext, with_session
from tm_cli.commands.run import Duration, Rate
from tm_cli.completion.candidates import complete_profiles
from tm_cli.errors import Refused, UsageError
from tm_cli.render.tables import columns, milliseconds
from tm_cli.render.tables import rate as rate_text
from tm_cli.runtime.terminal import Terminal
from tm_cli.values.durations import format_duration
from tm_cli.values.text import as_number, sanitize

if TYPE_CHECKING:
    from tm_cli.api.trafficmorph import Plan, PlanOption
    from tm_cli.commands.shared.profile_argument import ProfileRef
    from tm_cli.commands.shared.unchanged_runs import UnchangedRuns

app = App()

LEAST_RUNS = 2
FEATURE = ("plans", "tell what a profile can detect")


@app.command("plan")
@with_session
def plan(
    session: CommandContext,
    *,
    target: Annotated[
        str,
        typer.Argument(
            metavar="FILE|URL",
            autocompletion=complete_profiles,
            help="Path to a profile document, name or id of a profile, or the URL to test.",
        ),
    ],
    detect: Annotated[
        str, typer.Option(metavar="PERCENT", help="The rise that a run should show.")
    ] = "10%",
    power: Annotated[
        str,
        typer.Option(metavar="PERCENT", help="The share of the runs in which it should."),
    ] = "95%",
    metric: Annotated[
        Literal["p50", "p95", "p99"],
        typer.Option(metavar="METRIC", case_sensitive=False, help="The response time."),
    ] = "p95",
    measure: Annotated[
        bool,
        typer.Option("--measure", help="Play the runs that are missing, without asking."),
    ] = False,
    rate: Rate = None,
    duration: Duration = None,
    region: options.Region = None,
) -> int:
    """Tell which rise of a response time a profile can detect, and what it takes to detect more.

    The noise is that of the runs in the history; with fewer than two, the missing ones are played
    if you want that. A document is imported, as by a start. Needs the embedded server.

    tm plan checkout.yaml --detect 5%

    tm plan http://localhost:8080/checkout --metric p50 --measure
    """
    question: dict[str, Any] = {
        "detect": _percent("--detect", detect, 0.1, 1000),
        "power": _percent("--power", power, 50, 99.9),
        "metric": metric,
    }
    from tm_cli.commands.run import check_reach, profile_of
    from tm_cli.commands.runs.features import require_features
    from tm_cli.commands.runs.gate import RunGate
    from tm_cli.commands.runs.request import read_comparison
    from tm_cli.commands.shared.profile_argument import (
        check_profile_argument,
        import_document,
        upload_profile,
    )
    from tm_cli.commands.shared.unchanged_runs import UnchangedRuns

    document = profile_of(target, rate, duration, cwd=session.context.cwd)
    if document is None:
        check_profile_argument(target, session.context.cwd)
    chosen = session.setting("region", region)
    limits = read_comparison(session, baseline=None, against=None, profiles=[target]).thresholds
    require_features(session, [FEATURE])
    if document is None:
        ref = upload_profile(session.client, target, session.context.cwd)
    else:
        check_reach(document["endpointUrl"], RunGate(session).server)
        ref = import_document(session.client, document, target)
    warmup = session.setting("warmup", None)
    terms = {"region": chosen or None, "gate": limits or None, "warmup": warmup}
    question |= {name: value for name, value in terms.items() if value is not None}
    found = session.client.plan(ref.profile_id, question)
    if not found.options:
        _measure(session, found, ref, UnchangedRuns(target, document, chosen), wanted=measure)
        found = session.client.plan(ref.profile_id, question)
    if not found.options:
        raise Refused(
            f"nothing is known about the noise of {ref.name}: its runs cannot be compared",
            hint="`tm history list` shows them; errors, unsent requests or a saturated load "
            "generator make a run useless",
        )
    return session.emit(found.document(), lambda: _text(session.terminal, ref.name, found))


def _percent(flag: str, text: str, least: float, most: float) -> float:
    try:
        value = float(text.strip().removesuffix("%"))
    except ValueError:
        value = math.nan
    if not least <= value <= most:
        raise UsageError(f"{flag}: {text!r} is not a percentage from {least:g}% to {most:g}%")
    return value


def _measure(
    session: CommandContext, found: Plan, ref: ProfileRef, runs: UnchangedRuns, *, wanted: bool
) -> None:
    """Play the runs that are missing, if the user wants that."""
    from tm_cli.commands.shared.profile_argument import find_profile

    have = len(found.runs or [])
    missing = max(LEAST_RUNS - have, 1)
    takes = find_profile(session.client, ref).duration or 0
    what = f"{missing} run{'s' * (missing > 1)} of {format_duration(takes)}"
    if not wanted and (session.wants_json or not session.terminal.live):
        raise Refused(
            f"the noise of {ref.name} is not known: that takes {LEAST_RUNS} comparable, "
            f"reliable runs, and the history has {have}",
            hint=f"--measure plays {what} first",
        )
    if not wanted and not typer.confirm(f"The noise is not known. Play {what} first?", err=True):
        raise UsageError("nothing was started")
    runs.play(session, missing, ending="; nothing can be planned without it")


_HEAD = ("WAY TO RUN", "RATE", "LENGTH", "CI MIN", "WARN FROM", "FAIL FROM", "")


def _text(terminal: Terminal, name: str, plan: Plan) -> str:
    """Return what is known, the ways to run as a table, and the one to choose."""
    metric, power = sanitize(plan.metric), f"{plan.power or 0:g} %"
    rows = [_row(option) for option in plan.options or ()]
    return "\n".join(
        [
            _known(name, metric, plan),
            f"To detect a rise of {_rise(plan.detect)} at {metric} in {power} of the runs:",
            "",
            columns(terminal, _HEAD, rows, indent=2, least=("CI MIN",)),
            "",
            *_limits(plan),
            *_choice(metric, plan),
        ]
    )


def _known(name: str, metric: str, plan: Plan) -> str:
    text = f"{name}: {metric} {milliseconds(plan.value)}"
    spread = plan.spread
    if spread is None or spread.percent is None:
        return text
    steps = spread.runs or 0
    source = f"learnt from {steps + 1} runs" if steps else "assumed: too few runs are known"
    return f"{text}; expected spread from run to run: {spread.percent:.1f} %\n({source})"


def _row(option: PlanOption) -> tuple[object, ...]:
    detects = option.detects
    warn, fail = (detects.warn, detects.fail) if detects else (None, None)
    seen: tuple[object, object] = (_rise(warn), _rise(fail))
    if option.is_blind:
        seen = ("too noisy", "-")
    if option.is_too_small:
        seen = ("few requests", "-")
    return (
        option.name,
        f"{rate_text(option.rate)}/s",
        format_duration(option.seconds or 0.0),
        f"{option.minutes or 0:.1f}",
        *seen,
        "cheapest" if option.is_cheapest else "enough" if option.is_enough else "",
    )


def _rise(value: float | None) -> str:
    return "-" if value is None else f"+{value:.3g} %"


def _limits(plan: Plan) -> list[str]:
    """The thresholds to set before a rise so small can be seen at all."""
    lower = plan.lower_limits
    if not isinstance(lower, Mapping):
        return []
    settings = ", ".join(_setting(*item) for item in lower.items())
    return [
        "Today's limits hide a rise so small, however it is measured. All rows but the",
        f"first have lower ones: gate: {{{settings}}}",
    ]


def _setting(name: str, value: object) -> str:
    warn = as_number(value.get("warn")) if isinstance(value, Mapping) else None
    if warn is not None:
        return f"{sanitize(name)}: {{warn: {warn:g}%}}"
    return f"floor: {as_number(value) or 0:g}ms"


def _choice(metric: str, plan: Plan) -> list[str]:
    least = plan.two_runs.warn if plan.two_runs else None
    lines = []
    if least is not None and plan.detect is not None and least > plan.detect:
        lines += [
            f"Two runs, however long, detect no less than {_rise(least)}, because machines differ",
            "from run to run. An A/B run does not depend on that.",
        ]
    best = next((option for option in plan.options or () if option.is_cheapest), None)
    if best is None:
        return [*lines, "None of these ways is enough: a larger rise, or a quieter machine?"]
    load = f"{rate_text(best.rate)}/s for {format_duration(best.seconds or 0.0)}"
    return [*lines, f"Cheapest: {sanitize(best.name)}, {load}{_AB_HINT if best.ab_run else ''}"]


_AB_HINT = " (tm runs start PROFILE --against URL)"
