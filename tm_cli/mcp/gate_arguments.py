"""Arguments that several gates share: one name, one description, one rule each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tm_cli.commands import options
from tm_cli.errors import UsageError
from tm_cli.gate.policy import Gate
from tm_cli.mcp.arguments import (
    LARGEST_ID,
    Schema,
    flag,
    optional,
    seconds,
    text,
    verdicts,
    whole,
)
from tm_cli.mcp.call_session import CallSession

PROFILE_ID = whole("Id of the profile, from tm_list_profiles.", most=LARGEST_ID)
HISTORY_ID = whole("Id of an ended run in the history, from tm_list_history.", most=LARGEST_ID)
WAIT = flag("Wait until the run has ended and its verdict is known; needed for any gate.")
FAIL_ON_VERDICT = verdicts(
    "The gate: verdicts that fail it. FAIL, WARN and NO_BASELINE are possible, PASS is not. "
    "Needs wait. Left out, the settings of tm decide; without any the verdict only informs."
)
WAIT_TIMEOUT = optional(
    seconds("Longest wait for the end of the run. Left out: the setting of tm, usually 1800.")
)
VERDICT_TIMEOUT = optional(
    seconds("Longest wait for the verdict after the end. Left out: the setting, usually 60.")
)
POLL_INTERVAL = optional(
    seconds("Pause between two looks at the run. Left out, tm paces itself by the run's length.")
)
WAITING: Mapping[str, Schema] = {
    "wait_timeout_seconds": WAIT_TIMEOUT,
    "verdict_timeout_seconds": VERDICT_TIMEOUT,
    "poll_interval_seconds": POLL_INTERVAL,
}


def run_id(description: str) -> Schema:
    """The id of a run of another system."""
    return text(description, longest=200, pattern=r"^\S+$")


def refuse_without_wait(arguments: Mapping[str, Any], names: tuple[str, ...]) -> None:
    """Raise UsageError for a gate that nobody would wait for."""
    if arguments.get("wait"):
        return
    for name in names:
        if arguments.get(name) not in (None, False):
            raise UsageError(
                f"{name} needs wait: a run that nobody waits for has no verdict",
                hint="set wait to true; nothing was sent",
            )


def fail_on(arguments: Mapping[str, Any]) -> str | None:
    """The verdicts as `--fail-on` writes them."""
    given = arguments.get("fail_on_verdict")
    return None if given is None else ",".join(given)


def read_gate(session: CallSession, arguments: Mapping[str, Any]) -> Gate:
    """Return the gate that arguments and settings describe; sends nothing."""
    return with_waits(options.GateOptions(fail_on(arguments)).read(session), arguments)


def with_waits(gate: Gate, arguments: Mapping[str, Any]) -> Gate:
    """Return the gate with the waits that were asked for."""
    names = {"wait_timeout": "wait_timeout_seconds", "verdict_timeout": "verdict_timeout_seconds"}
    chosen = {field: float(arguments[name]) for field, name in names.items() if name in arguments}
    polling = gate.polling
    if "poll_interval_seconds" in arguments:
        polling = replace(polling, interval=float(arguments["poll_interval_seconds"]))
    return replace(gate, polling=polling, **chosen)  # type: ignore[arg-type]
