"""Tools for traffic runs: start, wait, show, control."""

from __future__ import annotations

from functools import partial
from typing import Any

from tm_cli.cli import options
from tm_cli.mcp import schema as shared
from tm_cli.mcp.schema import Answer, Effect, Tool, flag, items, published, text
from tm_cli.mcp.session import CallSession

ONLY_WHEN_WAITING = ("fail_on_verdict", "abort_if")
TAG = r"^[A-Za-z0-9._-]+$"


def start_run(session: CallSession, arguments: dict[str, Any]) -> int:
    """Start a run once; with `wait`, follow it to its verdict."""
    from tm_cli.commands.runs.gate import RunGate
    from tm_cli.commands.runs.request import read_request
    from tm_cli.commands.runs.target import TargetRequest
    from tm_cli.commands.shared.gate import start_and_wait, start_only

    shared.refuse_without_wait(arguments, ONLY_WHEN_WAITING)
    gate = shared.read_run_gate(session, arguments)
    profile = str(arguments["profile_id"])
    chosen = options.StartOptions(
        region=arguments.get("region"),
        tag=arguments.get("tags"),
        stop_early=arguments.get("stop_early") or None,
    )
    request = read_request(session, [profile], chosen)
    runs = RunGate(session)
    if arguments.get("wait"):
        plan, observed = partial(runs.plan, request), TargetRequest(session)
        return start_and_wait(runs, gate, session.wait_behavior, plan, prepare=observed.prepare)
    return start_only(runs, gate, partial(runs.plan, request))


def wait_run(session: CallSession, arguments: dict[str, Any]) -> int:
    """Follow a run that was started before to its verdict."""
    from tm_cli.commands.runs.gate import RunGate
    from tm_cli.commands.runs.request import ComparisonOptions
    from tm_cli.commands.shared.gate import wait_for

    gate, runs = shared.read_run_gate(session, arguments), RunGate(session)
    profile, run_id = str(arguments["profile_id"]), arguments["started_run_id"]
    attach = partial(runs.attach, profile, run_id, ComparisonOptions())
    return wait_for(runs, gate, session.wait_behavior, attach)


def show_status(session: CallSession, arguments: dict[str, Any]) -> int:
    from tm_cli.commands.runs import controls

    return controls.show_status(session, str(arguments["profile_id"]))


def get_status(session: CallSession, arguments: dict[str, Any]) -> Any:
    return session.client.get_run_status(arguments["profile_id"]).document()


def control(action: str) -> Answer:
    """Return what stops, pauses or resumes the run of a profile."""

    def answer(session: CallSession, arguments: dict[str, Any]) -> Any:
        profile_id = arguments["profile_id"]
        found = getattr(session.client, f"{action}_run")(profile_id)
        return {
            "run_id": found.run_id,
            "profile_id": found.profile_id or profile_id,
            "status": found.status,
        }

    return answer


ONE_PROFILE = {"profile_id": shared.PROFILE_ID}

RUN_TOOLS: tuple[Tool, ...] = (
    Tool(
        "tm_start_run",
        "Start a traffic run",
        "Start a run of a stored profile, exactly once. It sends real load to the profile's "
        "target, and it replaces a run of the same profile that is going on. Without wait the "
        "result is run_id, profile_id, status and waited: false; nothing is decided then. With "
        "wait the call goes on until the verdict of exactly this run is known: run_id (its "
        "history id, for tm_get_run), started_run_id, profile_id, status, verdict, "
        "verdict_reasons, fail_on_match, metrics, verdict_pending, waited: true. With "
        "fail_on_verdict the result is an error unless the verdict is known and not in the list: a "
        "missing, unknown or foreign verdict is never a pass. Cancelling the call ends the waiting "
        "only, the run goes on: stop it with tm_stop_run or wait for it again with tm_wait_run. A "
        "start whose answer was lost (exit_name START_UNKNOWN) must not be repeated before "
        "tm_run_status has been looked at.",
        Effect.CHANGES,
        start_run,
        {
            "profile_id": shared.PROFILE_ID,
            "wait": shared.WAIT,
            "fail_on_verdict": shared.FAIL_ON_VERDICT,
            "abort_if": shared.ABORT_IF,
            **shared.WAITING,
            "region": text(
                "Region that generates the load. Left out: the setting, else the profile's."
            ),
            "stop_early": flag(
                "End the run as soon as its verdict is known; the embedded server only. False: as "
                "the setting says, else the profile."
            ),
            "tags": items(
                "Tags of the run, such as a release or a commit.",
                text("One tag.", longest=options.LONGEST_TAG, pattern=TAG),
                most=options.MOST_TAGS,
            ),
        },
        ("profile_id",),
        is_gate=True,
    ),
    Tool(
        "tm_wait_run",
        "Wait for a traffic run",
        "Wait for a run that was started before, and gate on its verdict; starts nothing. The "
        "result is that of tm_start_run with wait. A run with another id never counts.",
        Effect.READS,
        wait_run,
        {
            "profile_id": shared.PROFILE_ID,
            "started_run_id": shared.run_id("The started_run_id that tm_start_run returned."),
            "fail_on_verdict": shared.FAIL_ON_VERDICT,
            "abort_if": shared.ABORT_IF,
            **shared.WAITING,
        },
        ("profile_id", "started_run_id"),
        is_gate=True,
    ),
    published(
        "tm_get_run_status",
        "Get the status of a run",
        "Get how the run of a profile is doing now: status (IDLE, RUNNING, PAUSED, COMPLETED), "
        "runId, seconds, requests, codes, rates and response times of the last minute, and whether "
        "load generator or target are saturated. It tells no verdict: use tm_wait_run.",
        Effect.READS,
        get_status,
        ONE_PROFILE,
        ("profile_id",),
    ),
    published(
        "tm_stop_run",
        "Stop a traffic run",
        "Stop the run of a profile, even if started elsewhere; a stopped run never has a verdict. "
        "Succeeds when nothing runs, too.",
        Effect.SETS,
        control("stop"),
        ONE_PROFILE,
        ("profile_id",),
    ),
    published(
        "tm_pause_run",
        "Pause a traffic run",
        "Pause the run of a profile; its place on the curve is kept. The status is IDLE when "
        "nothing runs.",
        Effect.SETS,
        control("pause"),
        ONE_PROFILE,
        ("profile_id",),
    ),
    published(
        "tm_resume_run",
        "Resume a traffic run",
        "Resume the paused run of a profile: it sends load again.",
        Effect.CHANGES,
        control("resume"),
        ONE_PROFILE,
        ("profile_id",),
    ),
    Tool(
        "tm_run_status",
        "Look at a traffic run",
        "Show how the run of a profile is doing now. The same as tm_get_run_status.",
        Effect.READS,
        show_status,
        ONE_PROFILE,
        ("profile_id",),
    ),
)
