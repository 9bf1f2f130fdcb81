"""`tm profiles plot`: the curve of a profile, before anything is sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from tm_cli.api.errors import HttpError
from tm_cli.backends.trafficmorph.profile_documents import (
    names_document,
    read_document,
)
from tm_cli.backends.trafficmorph.profile_values import INTERPOLATIONS
from tm_cli.cli.session import CommandContext
from tm_cli.commands.shared.profile_argument import (
    check_profile_argument,
    find_profile,
    require_load,
    resolve_profile,
)
from tm_cli.errors import ConfigurationError, Refused, UsageError
from tm_cli.render.planned_load import PlannedLoad, draw_load, sampled
from tm_cli.values.text import as_number, sanitize

LARGEST_RATE = 1e9
SAMPLES = 200
"""Values of the curve in JSON."""


def plot(session: CommandContext, profile: str, ceiling: float | None) -> int:
    """Draw the curve; `ceiling` is the highest rate that a server would send."""
    if names_document(profile):
        load = _written(session, profile)
    else:
        load = _stored(session, profile)
        ceiling = ceiling or _cap(session)
    load = replace(load, ceiling=ceiling)
    return session.emit(_data(load), lambda: draw_load(session.terminal, load))


def _data(load: PlannedLoad) -> dict[str, Any]:
    seconds = load.duration
    return {
        "name": load.name,
        "duration": seconds,
        "interpolation": load.interpolation,
        "loop": load.loop,
        "unit": load.unit,
        "requests": load.sent.planned_before(seconds),
        "mean": round(load.mean, 6),
        "peak": round(load.peak, 6),
        "max_rate": load.ceiling,
        "is_cut_off": load.is_cut_off,
        "points": [list(point) for point in load.points],
        "curve": [[round(t, 3), round(rate, 6)] for t, rate in sampled(load.sent, SAMPLES)],
    }


def _written(session: CommandContext, file: str) -> PlannedLoad:
    require_load(file)
    check_profile_argument(file, session.context.cwd)
    document = read_document(session.context.cwd / file)
    points = [(float(point["x"]), float(point["y"])) for point in document["points"]]
    mode = document.get("interpolationMode") or INTERPOLATIONS[0]
    return _load(document, points, float(document["duration"]), mode)


def _stored(session: CommandContext, text: str) -> PlannedLoad:
    """Return the load of a stored profile; raises Refused for one without a curve."""
    require_load(text)
    found = find_profile(session.client, resolve_profile(session.client, text, session.context.cwd))
    points = [(as_number(point.x), as_number(point.y)) for point in found.points or ()]
    usable = [(x, y) for x, y in points if x is not None and y is not None and x >= 0 and y >= 0]
    duration = as_number(found.duration)
    if not usable or len(usable) < len(points) or duration is None or duration <= 0:
        raise Refused(f"profile {found.id} has no curve that can be drawn")
    mode = (found.interpolation_mode or INTERPOLATIONS[0]).upper()
    about = {"name": found.name, "loop": found.loop, "steps": found.steps}
    return _load(about | {"locustfile": found.locustfile}, usable, duration, mode)


def _load(
    about: Mapping[str, Any], points: Sequence[tuple[float, float]], duration: float, mode: str
) -> PlannedLoad:
    if mode not in INTERPOLATIONS:
        raise Refused(f"{sanitize(about['name'])} has the unknown interpolation {sanitize(mode)!r}")
    if max(rate for _, rate in points) > LARGEST_RATE:
        raise ConfigurationError(
            f"{sanitize(about['name'])} cannot be drawn: no server sends more than "
            f"{LARGEST_RATE:,.0f} requests per second"
        )
    return PlannedLoad(
        name=sanitize(about["name"]),
        points=tuple(points),
        duration=duration,
        interpolation="LINEAR" if mode == "LINEAR" else "SPLINE",
        loop=bool(about.get("loop")),
        unit="visitors" if about.get("steps") or about.get("locustfile") else "requests",
    )


def _cap(session: CommandContext) -> float | None:
    """The highest rate of a profile that the server sends, if it tells."""
    try:
        limits = session.account.limits
    except HttpError:
        return None
    caps = (limits.max_rps, limits.max_profile_rps) if limits else ()
    return min((float(cap) for cap in caps if cap), default=None)


def read_ceiling(text: str | None) -> float | None:
    """Return the value of --max-rate."""
    if text is None:
        return None
    from tm_cli.setup.answers import read_rate

    try:
        return read_rate(text)
    except ValueError as problem:
        raise UsageError(f"--max-rate: {problem}") from None
