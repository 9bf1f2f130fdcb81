"""Tools for job runs of a Strait server: the same gate on how a run ends."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

from tm_cli.commands.jobs import options
from tm_cli.errors import UsageError
from tm_cli.mcp import schema as shared
from tm_cli.mcp.schema import Effect, Tool, choice, items, pairs, seconds, text, verdicts
from tm_cli.mcp.session import CallSession

GATE = {
    "fail_on_verdict": verdicts(
        "Verdicts that fail the gate: FAIL, WARN, NO_BASELINE. Left out: the setting, else FAIL "
        "and WARN."
    ),
    "checks": items(
        "Conditions on the result that must hold too, such as `exported>=100`.",
        text("A JSON path and a comparison.", longest=500),
        least=1,
        most=20,
    ),
    "max_duration_seconds": seconds("FAIL when the run took longer, waiting and retries included."),
    "canceled_as": choice(
        "What a canceled or expired run counts as. Left out: WARN.", ("FAIL", "WARN")
    ),
}
ONLY_WHEN_WAITING = tuple(GATE)
WAITING = {name: shared.WAITING[name] for name in ("wait_timeout_seconds", "poll_interval_seconds")}


def start_job(session: CallSession, arguments: dict[str, Any]) -> int:
    """Trigger a job once; with `wait`, follow its run to the end."""
    from tm_cli.commands.jobs.gate import JobGate, JobStart
    from tm_cli.commands.jobs.options import read_trigger
    from tm_cli.commands.shared.gate import start_and_wait, start_only

    shared.refuse_without_wait(arguments, ONLY_WHEN_WAITING)
    bundle = _options(arguments)
    gate = shared.with_waits(bundle.read(session), arguments)
    payload, tags = arguments.get("payload"), arguments.get("tags", {})
    if wrong := [key for key in tags if "=" in key]:
        raise UsageError(f"tags: the name {wrong[0]!r} contains '='", hint="nothing was sent")
    body = read_trigger(
        session.context.cwd,
        payload=None if payload is None else json.dumps(payload),
        tags=[f"{key}={value}" for key, value in tags.items()],
    )
    request = JobStart((arguments["job"],), body)
    runs = JobGate(session, bundle.read_wait())
    if not arguments.get("wait"):
        return start_only(runs, gate, partial(runs.plan, request))
    return start_and_wait(runs, gate, session.wait_behavior, partial(runs.plan, request))


def wait_job(session: CallSession, arguments: dict[str, Any]) -> int:
    """Follow a job run that is there already."""
    from tm_cli.commands.jobs.gate import JobGate
    from tm_cli.commands.shared.gate import wait_for

    bundle = _options(arguments)
    gate = shared.with_waits(bundle.read(session), arguments)
    run_ids = options.check_run_ids([arguments["run_id"]])
    runs = JobGate(session, bundle.read_wait())
    return wait_for(runs, gate, session.wait_behavior, partial(runs.attach, run_ids))


def _options(arguments: dict[str, Any]) -> options.JobGateOptions:
    longest = arguments.get("max_duration_seconds")
    return options.JobGateOptions(
        fail_on=shared.fail_on(arguments),
        checks=arguments.get("checks"),
        max_duration=None if longest is None else f"{longest:.6f}",
        canceled_as=arguments.get("canceled_as"),
    )


JOB_TOOLS = (
    Tool(
        "tm_start_job",
        "Start a job run",
        "Trigger a job of a Strait server, exactly once (under an idempotency key of tm's own). "
        "With wait the call goes on until the run has ended: completed is PASS, failed and the "
        "like are FAIL, canceled and expired are WARN. The result is an error unless the gate is "
        "shown to be satisfied. Cancelling the call ends the waiting only.",
        Effect.CHANGES,
        start_job,
        {
            "job": text("Id or slug of the job."),
            "wait": shared.WAIT,
            **GATE,
            "payload": {
                "type": "object",
                "maxProperties": 1000,
                "description": "Payload of the run, a JSON object.",
            },
            "tags": pairs("Tags of the run.", most=20),
            **WAITING,
        },
        ("job",),
        is_gate=True,
    ),
    Tool(
        "tm_wait_job",
        "Wait for a job run",
        "Wait for a job run of a Strait server and gate on how it ends; starts nothing.",
        Effect.READS,
        wait_job,
        {"run_id": shared.run_id("Id of the job run."), **GATE, **WAITING},
        ("run_id",),
        is_gate=True,
    ),
)
