"""What `tm benchmarks job start` is asked to start, checked before anything is sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tm_cli.commands.session import Session
from tm_cli.durations import parse_duration
from tm_cli.errors import UsageError
from tm_cli.systems.runloop.documents import read_job_spec


@dataclass(frozen=True, slots=True)
class BenchmarkJobStart:
    """What the user asked to start; `benchmark` is an id or a name."""

    spec: Mapping[str, Any]
    benchmark: str | None
    name: str | None


def read_start(
    session: Session,
    *,
    benchmark: str | None,
    scenarios: Sequence[str],
    spec: str | None,
    agents: Sequence[str],
    name: str | None,
    agent_timeout: str | None,
    agent_secrets: Mapping[str, str],
    attempts: int | None,
    concurrency: int | None,
) -> BenchmarkJobStart:
    """Check all that needs no server; raises UsageError and ConfigurationError."""
    if [benchmark is not None, bool(scenarios), spec is not None].count(True) != 1:
        raise UsageError("name a BENCHMARK, or give --scenario, or --spec")
    if spec is not None:
        if agents or agent_timeout or agent_secrets or attempts is not None or concurrency:
            raise UsageError("--spec is the whole specification; it goes with no other part of one")
        document = read_job_spec(session.context.cwd / spec)
        return BenchmarkJobStart(document, document.get("benchmark_id"), name)
    if not agents:
        raise UsageError("a job measures agents", hint="name at least one: --agent NAME[:MODEL]")
    limit = _seconds(agent_timeout)
    found: dict[str, Any] = {"type": "scenarios", "scenario_ids": list(scenarios)}
    if benchmark is not None:
        found = {"type": "benchmark", "benchmark_id": benchmark}
    found["agent_configs"] = [_agent(text, limit, agent_secrets) for text in agents]
    orchestrator = {"n_attempts": attempts, "n_concurrent_trials": concurrency}
    if given := {key: value for key, value in orchestrator.items() if value is not None}:
        found["orchestrator_config"] = given
    return BenchmarkJobStart(found, benchmark, name)


def _agent(text: str, timeout: float | None, secrets: Mapping[str, str]) -> dict[str, Any]:
    name, _, model = text.partition(":")
    if not name.strip():
        raise UsageError(f"--agent: {text!r} is not NAME[:MODEL]")
    found: dict[str, Any] = {"type": "job_agent", "name": name}
    if model:
        found["model_name"] = model
    if timeout is not None:
        found["timeout_seconds"] = timeout
    if secrets:
        found["agent_environment"] = {"secrets": dict(secrets)}
    return found


def _seconds(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        return parse_duration(text)
    except ValueError as problem:
        raise UsageError(f"--agent-timeout: {problem}") from None
