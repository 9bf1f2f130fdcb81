"""`tm runs status|stop|pause|resume`."""

from __future__ import annotations

from enum import Enum
from typing import Any

from tm_cli.api.trafficmorph import LiveStatus, TrafficMorphClient
from tm_cli.backends.trafficmorph.results import read_live_steps
from tm_cli.cli.session import CommandContext
from tm_cli.commands.shared.profile_argument import ProfileRef, resolve_profile
from tm_cli.render.steps import MOST_SHOWN, live_cells
from tm_cli.render.tables import codes, milliseconds, rate
from tm_cli.values.durations import format_duration
from tm_cli.values.text import sanitize


def run_control(run_id: str | None, status: str | None, profile_id: Any) -> dict[str, Any]:
    """Return the answer to start, stop, pause and resume under the names of the wire."""
    return {"runId": run_id, "status": status, "profileId": profile_id}


class RunAction(Enum):
    STOP = "stop"
    PAUSE = "pause"
    RESUME = "resume"


_METHODS = {
    RunAction.STOP: TrafficMorphClient.stop_run,
    RunAction.PAUSE: TrafficMorphClient.pause_run,
    RunAction.RESUME: TrafficMorphClient.resume_run,
}


def control(session: CommandContext, text: str, action: RunAction) -> int:
    """Do it once and say how the run is afterwards."""
    subject = resolve_profile(session.client, text, session.context.cwd)
    answer = _METHODS[action](session.client, subject.profile_id)
    if action is RunAction.PAUSE and answer.status == "IDLE":
        session.note(f"tm: nothing was paused: {subject.name} has no run")
    return session.emit(
        {
            "profile_id": subject.profile_id,
            "run_id": answer.run_id,
            "status": answer.status,
        },
        lambda: f"{subject.name}: {sanitize(answer.status or 'unknown')}",
        bare=run_control(answer.run_id, answer.status, subject.profile_id),
    )


def show_status(session: CommandContext, text: str) -> int:
    subject = resolve_profile(session.client, text, session.context.cwd)
    status = session.client.get_run_status(subject.profile_id)
    return session.emit(status.document(), lambda: _describe(subject, status))


def _describe(subject: ProfileRef, status: LiveStatus) -> str:
    lines = [f"{subject.name}: {sanitize(status.status or 'unknown')}"]
    if status.run_id:
        lines.append(f"  run        {sanitize(status.run_id)}")
    if status.waiting_for:
        lines.append(f"  waiting    {sanitize(status.waiting_for)}")
    if status.elapsed_seconds is not None and status.duration_seconds:
        elapsed = format_duration(status.elapsed_seconds)
        lines.append(f"  elapsed    {elapsed} of {format_duration(status.duration_seconds)}")
    if status.current_rps is not None:
        planned = f" of {rate(status.planned_rps)}" if status.planned_rps is not None else ""
        lines.append(f"  requests/s {rate(status.current_rps)}{planned}")
    if status.recent_buckets:
        lines.append(f"  p95        {milliseconds(status.recent_buckets[-1].p95_ms)}")
    if status.response_code_counts:
        lines.append(f"  responses  {sanitize(codes(status.response_code_counts))}")
    if status.script_ok or status.script_errors:
        returned, failed = status.script_ok or 0, status.script_errors or 0
        lines.append(f"  script     {returned:,} calls returned, {failed:,} failed")
    steps = read_live_steps(status.steps)
    lines += [f"  step       {'  '.join(live_cells(step))}" for step in steps[:MOST_SHOWN]]
    if (more := len(steps) - MOST_SHOWN) > 0:
        lines.append(f"  and {more} more steps")
    return "\n".join(lines)
