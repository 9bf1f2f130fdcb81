"""Tools for benchmark runs of Runloop: the same gate with rules about scores."""

from __future__ import annotations

from functools import partial
from typing import Any

from tm_cli.backends.runloop.rules import Rules
from tm_cli.commands.benchmarks import options
from tm_cli.errors import UsageError
from tm_cli.mcp import schema as shared
from tm_cli.mcp.schema import Effect, Tool, flag, share, text, verdicts, whole
from tm_cli.mcp.session import CallSession

SHARES = ("min_score", "warn_score", "max_drop", "warn_drop", "coverage")
RULES = {
    "min_score": share("FAIL below this score."),
    "warn_score": share("WARN below this score."),
    "max_drop": share("FAIL when the score is this much below the baseline's."),
    "warn_drop": share("WARN when the score is this much below the baseline's."),
    "max_failed_scenarios": whole(
        "FAIL when more scenario runs failed. Left out: 0.", least=0, most=1_000_000
    ),
    "coverage": share(
        "FAIL when a smaller share of the scenarios was run. Left out: 1, all of them."
    ),
    "expect": whole(
        "How many scenarios there must be, where the benchmark does not say.", most=1_000_000
    ),
    "baseline": text("Id of the run to compare with, or `last`: the newest that could be one."),
    "common_only": flag("Where scenarios have changed, compare those that both have, and WARN."),
    "fail_on_verdict": verdicts(
        "Verdicts that fail the gate: FAIL, WARN, NO_BASELINE. Left out: the setting, else FAIL "
        "and NO_BASELINE."
    ),
}
ONLY_WHEN_WAITING = tuple(RULES)


def start_benchmark(session: CallSession, arguments: dict[str, Any]) -> int:
    """Start a benchmark run once; with `wait`, follow it to its end."""
    from tm_cli.commands.benchmarks.gate import BenchmarkGate, read_start
    from tm_cli.commands.shared.gate import start_and_wait, start_only

    shared.refuse_without_wait(arguments, ONLY_WHEN_WAITING)
    rules = _rules(arguments)
    if arguments.get("wait"):
        _require_a_rule(rules)
    gate = shared.read_gate(session, arguments)
    baseline = options.read_baseline(arguments.get("baseline"), None)
    request = read_start(
        session,
        benchmarks=[arguments["benchmark"]],
        name=arguments.get("name"),
        metadata=arguments.get("metadata", {}),
        baseline=baseline,
        is_gated=arguments.get("wait", False),
    )
    runs = BenchmarkGate(session, rules, baseline)
    if arguments.get("wait"):
        return start_and_wait(runs, gate, session.wait_behavior, partial(runs.plan, request))
    return start_only(runs, gate, partial(runs.plan, request, gate))


def wait_benchmark(session: CallSession, arguments: dict[str, Any]) -> int:
    """Follow a benchmark run that something else drives."""
    from tm_cli.commands.benchmarks.gate import BenchmarkGate
    from tm_cli.commands.shared.gate import wait_for

    rules = _rules(arguments)
    _require_a_rule(rules)
    baseline = options.read_baseline(arguments.get("baseline"), None)
    gate, runs = shared.read_gate(session, arguments), BenchmarkGate(session, rules, baseline)
    attach = partial(runs.attach, [arguments["run_id"]], None)
    return wait_for(runs, gate, session.wait_behavior, attach)


def _rules(arguments: dict[str, Any]) -> Rules:
    given = {name: f"{arguments[name]:.9f}" for name in SHARES if name in arguments}
    return options.RuleOptions(
        **given,
        max_failed=arguments.get("max_failed_scenarios", 0),
        expect=arguments.get("expect"),
        common_only=arguments.get("common_only", False),
    ).read()


def _require_a_rule(rules: Rules) -> None:
    if not rules.is_set:
        raise UsageError(
            "this gate has no rule, so that every score would pass",
            hint="give min_score, warn_score, max_drop or warn_drop; nothing was sent",
        )


BENCHMARK_TOOLS = (
    Tool(
        "tm_start_benchmark",
        "Start a benchmark run",
        "Start a benchmark run on Runloop, exactly once. Something else must drive its scenarios. "
        "With wait it is judged by its scenarios: at least one of min_score, warn_score, max_drop "
        "and warn_drop is needed, and the result is an error unless the rules are shown to hold. "
        "Cancelling the call ends the waiting only.",
        Effect.CHANGES,
        start_benchmark,
        {
            "benchmark": text("Id or exact name of the benchmark."),
            "wait": shared.WAIT,
            **RULES,
            "name": text("Name of the run. Left out: a unique one."),
            "metadata": {
                "type": "object",
                "maxProperties": 20,
                "description": "Metadata of the run: values of any type by their names.",
            },
            **shared.WAITING,
        },
        ("benchmark",),
        is_gate=True,
    ),
    Tool(
        "tm_wait_benchmark",
        "Wait for a benchmark run",
        "Wait for a benchmark run on Runloop and gate on its scores; starts nothing. At least one "
        "of min_score, warn_score, max_drop and warn_drop is needed.",
        Effect.READS,
        wait_benchmark,
        {"run_id": shared.run_id("Id of the benchmark run."), **RULES, **shared.WAITING},
        ("run_id",),
        is_gate=True,
    ),
)
