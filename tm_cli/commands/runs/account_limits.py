"""What the limits of the account mean for a start: said before it, or a reason not to start."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tm_cli.backends.trafficmorph.runs import planned_curve
from tm_cli.errors import Refused
from tm_cli.values.load.journeys.steps import requests_in_a_visit
from tm_cli.values.text import sanitize

if TYPE_CHECKING:
    from tm_cli.api.trafficmorph import Account, AccountLimits, AccountUsage, Profile

USUAL_RATE = 100.0
"""Requests per second; a server elsewhere is asked for its limits only where a curve is higher."""


def highest_rate(profile: Profile) -> float:
    """Requests per second that a profile sends at most, as far as it is known."""
    curve = planned_curve(profile)
    if curve is None:
        return 0.0
    steps = profile.steps if isinstance(profile.steps, list) else []
    requests = requests_in_a_visit([step for step in steps if isinstance(step, dict)])
    return curve.highest_rate * max(requests, 1)


def require_whole_curve(profile: Profile, account: Account) -> None:
    """Raise Refused for a curve that the server would cut off: a gate would judge another load."""
    if account.limits is None or (cut := _cut_off(profile, account.limits)) is None:
        return
    raise Refused(
        f"not started: {cut}",
        hint="lower its rate; the points of a spline may be exceeded between them",
    )


def warnings(profile: Profile, account: Account) -> Iterator[str]:
    """What a start of the profile meets, as sentences."""
    limits, usage = account.limits, account.usage
    if limits is not None and (cut := _cut_off(profile, limits)):
        yield cut
    if limits is not None and usage is not None:
        yield from _of_other_runs(profile, limits, usage)
    if usage is not None and _is_used_up(usage):
        yield (
            f"the {usage.included_requests:,} requests of this month are used up "
            f"({usage.used_requests:,}): the server will refuse this start"
        )


def _cut_off(profile: Profile, limits: AccountLimits) -> str | None:
    caps = {"maxProfileRps": limits.max_profile_rps, "maxRps": limits.max_rps}
    known = {name: cap for name, cap in caps.items() if cap is not None and cap > 0}
    if not known:
        return None
    highest, name = highest_rate(profile), min(known, key=known.__getitem__)
    if highest < known[name] + 1:
        return None
    return (
        f"the highest rate of {sanitize(profile.name)} is {highest:,.0f} requests per second; "
        f"the server would cut it off at {known[name]:,} ({name})"
    )


def _of_other_runs(profile: Profile, limits: AccountLimits, usage: AccountUsage) -> Iterator[str]:
    is_active = profile.status in {"RUNNING", "PAUSED"}
    others = (usage.active_run_count or 0) - is_active
    if others <= 0:
        return
    runs = "another run is" if others == 1 else f"{others} other runs are"
    most = limits.max_concurrent_runs or 0
    if 0 < most <= others:
        yield (
            f"{runs} active, and the account permits {most} at a time: "
            "the server will refuse this start"
        )
    elif limits.max_rps and limits.max_rps > 0:
        yield (
            f"{runs} active, and all share {limits.max_rps:,} requests per second: "
            "the server may cut off what is not left"
        )


def _is_used_up(usage: AccountUsage) -> bool:
    included, used = usage.included_requests or 0, usage.used_requests or 0
    return 0 < included <= used
