"""What the gates over benchmark runs and over benchmark jobs have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from tm_cli.api.runloop import RunloopClient
from tm_cli.backends.runloop.baseline import BaselineQuery
from tm_cli.backends.runloop.judge import Expected
from tm_cli.backends.runloop.rules import Rules
from tm_cli.cli.session import CommandContext
from tm_cli.commands.benchmarks.actions import (
    PER_MINUTE,
    benchmark_client,
    runloop_connection,
    stop_client,
)
from tm_cli.commands.benchmarks.options import require_a_rule
from tm_cli.commands.shared.follow import FollowedRun, ServerLimits
from tm_cli.commands.shared.gate import GateCommand, StartOutcome
from tm_cli.commands.shared.last_start import RememberedRun, server_flags, unusable
from tm_cli.gate.backend import Backend
from tm_cli.gate.policy import Gate
from tm_cli.settings import RUNLOOP
from tm_cli.values.verdict import Verdict, format_fail_on

RUN, JOB = "run", "job"

PER_POLL = 2
"""Requests of one poll: the run and its scenario runs."""


@dataclass(frozen=True, slots=True)
class RememberedBenchmark:
    """What a later `--last` needs to judge a run exactly as this call would have.

    `kind` is RUN or JOB. `baseline` is the id of what was chosen; None with a `choice` says that
    there was nothing.
    """

    kind: str
    rules: Rules
    expected: Expected
    baseline: str | None = None
    choice: str | None = None
    fail_on: str | None = None
    agents: int | None = None

    def document(self) -> dict[str, Any]:
        ids = self.expected.ids
        return {
            "kind": self.kind,
            "rules": self.rules.document(),
            "scenario_ids": sorted(ids) if ids is not None else None,
            "scenario_count": self.expected.count,
            "baseline": self.baseline,
            "choice": self.choice,
            "fail_on": self.fail_on,
            "agents": self.agents,
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> RememberedBenchmark:
        """Read it again; raises ConfigurationError for what this version did not write."""
        try:
            ids = document["scenario_ids"]
            return cls(
                kind=document["kind"],
                rules=Rules.from_document(document["rules"]),
                expected=Expected(
                    frozenset(ids) if ids is not None else None, document["scenario_count"]
                ),
                baseline=document["baseline"],
                choice=document["choice"],
                fail_on=document["fail_on"],
                agents=document["agents"],
            )
        except (KeyError, TypeError, ValueError) as problem:
            raise unusable(problem, hint="name the run: `tm benchmarks wait RUN`") from None


class RunloopGate(GateCommand[Backend]):
    """The gate over what Runloop runs; `rules` and `baseline` are those of this call's flags."""

    system = RUNLOOP
    url_variable = "RUNLOOP_BASE_URL"
    default_fail_on = frozenset({Verdict.FAIL, Verdict.NO_BASELINE})

    def __init__(
        self,
        session: CommandContext,
        rules: Rules | None = None,
        baseline: BaselineQuery | None = None,
    ) -> None:
        super().__init__(session)
        self.rules = rules or Rules()
        self.baseline = baseline or BaselineQuery()

    @cached_property
    def client(self) -> RunloopClient:
        return benchmark_client(self.session)

    def stop_client(self) -> RunloopClient:
        return stop_client(self.session)

    @property
    def server(self) -> str:
        return runloop_connection(self.session).base_url

    def limits(self) -> ServerLimits:
        """Return the requests that we allow ourselves."""
        return ServerLimits(self.server, PER_MINUTE // PER_POLL)

    @abstractmethod
    def reattach(
        self, entry: RememberedRun, found: RememberedBenchmark, gate: Gate
    ) -> FollowedRun[Backend]:
        """Return what an earlier call has started, to be judged by what was fixed then."""

    def attach_remembered(
        self, entries: Sequence[RememberedRun], gate: Gate
    ) -> list[FollowedRun[Backend]]:
        remembered = [self._read_memory(entry) for entry in entries]
        return [
            self.reattach(entry, found, gate)
            for entry, found in zip(entries, remembered, strict=True)
        ]

    def _read_memory(self, entry: RememberedRun) -> RememberedBenchmark:
        """Return what was remembered; rules given now replace those of then."""
        found = RememberedBenchmark.from_document(entry.details)
        if self.rules != Rules():
            found = replace(found, rules=self.rules)
        require_a_rule(found.rules)
        return found

    def note_next_steps(self, outcomes: Sequence[StartOutcome], gate: Gate) -> None:
        """Warn `--quiet` pipelines as well: they may take this start for their gate."""
        super().note_next_steps(outcomes, gate)
        if self.rules.is_set or gate.fail_on:
            self.session.terminal.write_line(
                "tm: this start does not gate: what it is judged by counts in "
                "`tm benchmarks wait --last`"
            )

    def resume_flags(self, gate: Gate, rules: Rules, baseline: str | None) -> list[str]:
        """Return the flags that a wait needs: rules, gate, the server of this call."""
        flags = rule_flags(rules)
        if baseline is not None:
            flags += ["--baseline", baseline]
        if gate.fail_on not in (frozenset(), self.default_fail_on):
            flags += ["--fail-on", format_fail_on(gate.fail_on)]
        return [*flags, *server_flags(self.session, self.system)]


def rule_flags(rules: Rules) -> list[str]:
    values = {
        "--min-score": rules.min_score,
        "--warn-score": rules.warn_score,
        "--max-drop": rules.max_drop,
        "--warn-drop": rules.warn_drop,
        "--max-failed-scenarios": rules.max_failed or None,
        "--coverage": None if rules.coverage >= 1 else rules.coverage,
        "--expect": rules.expected,
    }
    flags = [
        word
        for flag, value in values.items()
        if value is not None
        for word in (flag, f"{value:.9g}" if isinstance(value, float) else str(value))
    ]
    return [*flags, *(["--common-only"] if rules.common_only else [])]
