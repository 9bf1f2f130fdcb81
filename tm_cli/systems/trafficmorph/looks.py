"""Progress of a run from its live status."""

from __future__ import annotations

from tm_cli.api.trafficmorph.models import Bucket, LiveStatus, Profile
from tm_cli.curve import Curve
from tm_cli.gate.evidence import Phase, Progress, Run
from tm_cli.text import clean

_PHASES = {"RUNNING": Phase.ACTIVE, "PAUSED": Phase.PAUSED}


def phase_of(status: str | None) -> Phase:
    """Whether a run of this status goes on; any other, unknown or missing status has ended it.

    The history has the last word, so that a wrong ending costs time and never a verdict.
    """
    return _PHASES.get(status or "", Phase.ENDED)


def from_status(run: Run, status: LiveStatus, curve: Curve | None) -> Progress:
    """Return the progress; another run id in the status means that the run was replaced."""
    phase = phase_of(status.status)
    if status.run_id and run.run_id and status.run_id != run.run_id:
        phase = Phase.REPLACED
    buckets = status.recent_buckets or []
    newest = buckets[-1] if buckets else None
    return Progress(
        phase,
        clean(status.status or "no status"),
        is_ours=run.run_id is not None and status.run_id == run.run_id,
        elapsed=status.elapsed_seconds,
        duration=status.duration_seconds,
        requests=status.requests_sent,
        rps=status.current_rps,
        planned_rps=_planned_rps(status, newest, curve),
        p95_ms=newest.p95_ms if newest else None,
        rps_series=tuple(bucket.rps or 0.0 for bucket in buckets),
        p95_series=tuple(bucket.p95_ms or 0.0 for bucket in buckets),
        codes=dict(status.response_code_counts),
        bad_ratio=newest.bad_ratio if newest else None,
        warnings=_warnings(status),
    )


def _planned_rps(status: LiveStatus, newest: Bucket | None, curve: Curve | None) -> float | None:
    """What the curve asks for where `current_rps` was measured; some servers say it."""
    if status.planned_rps is not None or curve is None:
        return status.planned_rps
    if newest is None or newest.t is None:
        return None
    return curve.rate(newest.t)


def planned_curve(profile: Profile) -> Curve | None:
    """Return the profile's curve; None when the server describes it incompletely."""
    if not profile.points or not profile.duration:
        return None
    linear = (profile.interpolation_mode or "").upper() == "LINEAR"
    points = [(point.x, point.y) for point in profile.points]
    try:
        return Curve(points, profile.duration, "LINEAR" if linear else "SPLINE")
    except (ValueError, ArithmeticError):
        return None


def _warnings(status: LiveStatus) -> tuple[str, ...]:
    flags = {
        "the load generator is saturated: it cannot keep the planned rate": (
            status.generator_saturated
        ),
        "the target is saturated: its response times approach the timeout": (
            status.downstream_saturated
        ),
        "dispatch is flaky: a share of the batches fails": status.flaky_dispatch,
    }
    return tuple(text for text, raised in flags.items() if raised)
