"""The scenarios, each with the expected exit code."""

from __future__ import annotations

from tm_cli.exit_codes import ExitCode
from tm_cli.selftest.callers import makefile, pipe, shell_script, shell_status, unless_installed
from tm_cli.selftest.meanwhile import replace_run, send, stop_run, unless_ignored
from tm_cli.selftest.relay import flaky_reads, lost_start
from tm_cli.selftest.scenario import GATE, SelftestScenario
from tm_cli.server.scripted.play import Ending, ScriptedRun

SLOWER = ScriptedRun(ms=22.0)
MUCH_SLOWER = ScriptedRun(ms=40.0)
HANGS = ScriptedRun(ending=Ending.HANGS)
BROKEN = ScriptedRun(ending=Ending.BROKEN)
JUDGED_LATE = ScriptedRun(verdict_after=1.5)
NEVER_JUDGED = ScriptedRun(verdict_after=None)

_ALL = "FAIL,WARN,NO_BASELINE"


def _accepting(verdicts: str, *more: str) -> tuple[str, ...]:
    return (*GATE, verdicts, *more)


VERDICTS = (
    SelftestScenario("pass", "PASS passes", (ExitCode.OK,)),
    SelftestScenario("fail", "FAIL is red", (ExitCode.FAIL,), script=MUCH_SLOWER),
    SelftestScenario("warn", "WARN is red", (ExitCode.WARN,), script=SLOWER),
    SelftestScenario(
        "warn-accepted",
        "WARN passes where --fail-on leaves it out",
        (ExitCode.OK,),
        words=_accepting("FAIL"),
        script=SLOWER,
    ),
    SelftestScenario("no-baseline", "NO_BASELINE is red", (ExitCode.NO_BASELINE,), earlier=()),
    SelftestScenario(
        "no-baseline-accepted",
        "NO_BASELINE passes where --fail-on leaves it out",
        (ExitCode.OK,),
        words=_accepting("FAIL,WARN"),
        earlier=(),
    ),
    SelftestScenario(
        "failed-check",
        "PASS is red if an --assert fails",
        (ExitCode.FAIL,),
        words=_accepting(_ALL, "--assert", "p95<1ms"),
    ),
    SelftestScenario(
        "slow-verdict",
        "a verdict that takes a while is waited for",
        (ExitCode.OK,),
        script=JUDGED_LATE,
    ),
    SelftestScenario(
        "missing-verdict",
        "without a verdict nothing passes",
        (ExitCode.UNDECIDED,),
        words=_accepting(_ALL, "--verdict-timeout", "1"),
        script=NEVER_JUDGED,
    ),
)

RUNS = (
    SelftestScenario(
        "replaced",
        "a replaced run does not pass",
        (ExitCode.UNDECIDED,),
        script=HANGS,
        side_action=replace_run,
    ),
    SelftestScenario(
        "stopped",
        "a stopped run does not pass",
        (ExitCode.UNDECIDED,),
        script=HANGS,
        side_action=stop_run,
    ),
    SelftestScenario(
        "aborted", "an aborted run does not pass", (ExitCode.UNDECIDED,), script=BROKEN
    ),
    SelftestScenario(
        "wait-timeout",
        "a run that does not finish in time does not pass",
        (ExitCode.WAIT_TIMEOUT,),
        words=_accepting(_ALL, "--wait-timeout", "1"),
        script=HANGS,
    ),
    SelftestScenario(
        "interrupted",
        "SIGINT ends the wait, red",
        (ExitCode.INTERRUPTED,),
        script=HANGS,
        side_action=send("SIGINT"),
        skip_reason=unless_ignored("SIGINT"),
    ),
    SelftestScenario(
        "terminated",
        "SIGTERM, as for a canceled job, ends the wait, red",
        (ExitCode.TERMINATED,),
        script=HANGS,
        side_action=send("SIGTERM"),
        skip_reason=unless_ignored("SIGTERM"),
    ),
)

NETWORK = (
    SelftestScenario(
        "flaky-pass",
        "PASS passes though every other read fails",
        (ExitCode.OK,),
        faults=flaky_reads,
    ),
    SelftestScenario(
        "flaky-fail",
        "FAIL is red though every other read fails",
        (ExitCode.FAIL,),
        faults=flaky_reads,
        script=MUCH_SLOWER,
    ),
    SelftestScenario(
        "lost-start",
        "a start without a response is not repeated",
        (ExitCode.START_UNKNOWN,),
        faults=lost_start,
    ),
    SelftestScenario(
        "found-start",
        "a tagged start without a response is found, and not repeated",
        (ExitCode.FAIL,),
        words=_accepting(_ALL, "--tag", "selftest"),
        faults=lost_start,
        script=MUCH_SLOWER,
    ),
    SelftestScenario(
        "server-down",
        "a server that is down passes nothing",
        (ExitCode.UNAVAILABLE,),
        runs=0,
        is_down=True,
    ),
)

REFUSALS = (
    SelftestScenario(
        "quota",
        "a start that the server refuses does not pass",
        (ExitCode.REFUSED,),
        runs=0,
        is_busy=True,
    ),
    SelftestScenario(
        "wrong-key",
        "a wrong key passes nothing",
        (ExitCode.AUTHENTICATION,),
        runs=0,
        environ={"TM_API_KEY": "tm_wrong"},
    ),
    SelftestScenario(
        "typo",
        "an unknown verdict is a usage error",
        (ExitCode.USAGE,),
        runs=0,
        words=_accepting("FIAL"),
    ),
)

CALLERS = (
    SelftestScenario(
        "shell",
        "a shell passes the exit code on in $?",
        (ExitCode.WARN,),
        script=SLOWER,
        caller=shell_status,
        skip_reason=unless_installed("sh"),
    ),
    SelftestScenario(
        "script",
        "a script with `set -e` ends at a red gate",
        (ExitCode.FAIL,),
        script=MUCH_SLOWER,
        caller=shell_script,
        skip_reason=unless_installed("sh"),
    ),
    SelftestScenario(
        "pipe",
        "a pipe with `pipefail` passes the exit code on",
        (ExitCode.FAIL,),
        script=MUCH_SLOWER,
        caller=pipe,
        skip_reason=unless_installed("bash"),
    ),
    SelftestScenario(
        "make",
        "a target of make fails at a red gate",
        (2, 1),
        script=SLOWER,
        caller=makefile,
        skip_reason=unless_installed("make"),
    ),
)

SCENARIOS = (*VERDICTS, *RUNS, *NETWORK, *REFUSALS, *CALLERS)
