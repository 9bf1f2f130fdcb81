"""What stands first in the summary of a gate."""

from __future__ import annotations

import io

import pytest

from tm_cli.exit_codes import ExitCode
from tm_cli.gate.events import Decided
from tm_cli.gate.evidence import Result, Run
from tm_cli.gate.policy import Decision
from tm_cli.gate.verdict import Verdict
from tm_cli.render.summary import run_summary
from tm_cli.terminal import Terminal

RUN = Run("r1", "checkout", "COMPLETED", None)
PASSED = Result("r1", Verdict.PASS, "PASS")


def summary(code: ExitCode, message: str = "so it is") -> list[str]:
    terminal = Terminal(io.StringIO(), io.StringIO())
    return run_summary(terminal, Decided(Decision(code, message), RUN, PASSED)).splitlines()


@pytest.mark.parametrize("code", [ExitCode.OK, ExitCode.OUTPUT])
def test_a_verdict_that_counted_comes_first(code):
    assert summary(code)[0].startswith("PASS  checkout")


@pytest.mark.parametrize("code", [ExitCode.HANGUP, ExitCode.INTERRUPTED, ExitCode.UNDECIDED])
def test_a_verdict_that_did_not_count_is_told_after_why(code):
    first, second, *_ = summary(code, "interrupted; run r1 goes on")
    assert first.startswith(f"{code.name}  checkout")
    assert second == "  its verdict is PASS; interrupted; run r1 goes on"
