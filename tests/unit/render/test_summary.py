"""What stands first in the summary of a gate."""

from __future__ import annotations

import io

import pytest

from tm_cli.exit_codes import ExitCode
from tm_cli.gate.checks import apply_check, parse_check
from tm_cli.gate.events import Decided, RunAttempt
from tm_cli.gate.model import Result, Run
from tm_cli.gate.policy import Decision
from tm_cli.render.summary import run_summary
from tm_cli.runtime.terminal import Terminal
from tm_cli.values.verdict import Verdict

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


def test_a_repeated_run_names_the_checks_that_it_failed():
    checks = [apply_check(parse_check(text), {"avgRps": 10}, None) for text in ("rps>9", "rps>11")]
    failed = Decision(ExitCode.FAIL, "1 of 2 checks failed", checks=tuple(checks))
    earlier = (RunAttempt(failed, Run("r0", "checkout", "", None), PASSED),)
    terminal = Terminal(io.StringIO(), io.StringIO())
    ending = Decided(Decision(ExitCode.OK, ""), RUN, PASSED, earlier)
    last = run_summary(terminal, ending).splitlines()[-1]
    assert last == "  repeats run r0, whose verdict was PASS; it failed rps>11: rps is 10"
