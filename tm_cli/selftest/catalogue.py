"""The scenarios, each with the exit code that must come."""

from __future__ import annotations

from tm_cli.exit_codes import ExitCode
from tm_cli.selftest.callers import makefile, pipe, shell_script, shell_status, unless_installed
from tm_cli.selftest.meanwhile import replace_run, send, stop_run, unless_ignored
from tm_cli.selftest.relay import flaky_reads, lost_start
from tm_cli.selftest.scenario import GATE, Scenario
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
    Scenario(name="pass", claim="PASS passes", expected=(ExitCode.OK,)),
    Scenario(name="fail", claim="FAIL is red", expected=(ExitCode.FAIL,), play=MUCH_SLOWER),
    Scenario(name="warn", claim="WARN is red", expected=(ExitCode.WARN,), play=SLOWER),
    Scenario(
        name="warn-accepted",
        claim="WARN passes where --fail-on leaves it out",
        expected=(ExitCode.OK,),
        words=_accepting("FAIL"),
        play=SLOWER,
    ),
    Scenario(
        name="no-baseline",
        claim="NO_BASELINE is red",
        expected=(ExitCode.NO_BASELINE,),
        earlier=(),
    ),
    Scenario(
        name="no-baseline-accepted",
        claim="NO_BASELINE passes where --fail-on leaves it out",
        expected=(ExitCode.OK,),
        words=_accepting("FAIL,WARN"),
        earlier=(),
    ),
    Scenario(
        name="failed-check",
        claim="PASS is red if an --assert fails",
        expected=(ExitCode.FAIL,),
        words=_accepting(_ALL, "--assert", "p95<1ms"),
    ),
    Scenario(
        name="slow-verdict",
        claim="a verdict that takes a while is waited for",
        expected=(ExitCode.OK,),
        play=JUDGED_LATE,
    ),
    Scenario(
        name="missing-verdict",
        claim="without a verdict nothing passes",
        expected=(ExitCode.UNDECIDED,),
        words=_accepting(_ALL, "--verdict-timeout", "1"),
        play=NEVER_JUDGED,
    ),
)

RUNS = (
    Scenario(
        name="replaced",
        claim="a run that another one replaced does not pass",
        expected=(ExitCode.UNDECIDED,),
        play=HANGS,
        side_action=replace_run,
    ),
    Scenario(
        name="stopped",
        claim="a run that somebody stopped does not pass",
        expected=(ExitCode.UNDECIDED,),
        play=HANGS,
        side_action=stop_run,
    ),
    Scenario(
        name="aborted",
        claim="a run that broke off does not pass",
        expected=(ExitCode.UNDECIDED,),
        play=BROKEN,
    ),
    Scenario(
        name="wait-timeout",
        claim="a run that goes on and on does not pass",
        expected=(ExitCode.WAIT_TIMEOUT,),
        words=_accepting(_ALL, "--wait-timeout", "1"),
        play=HANGS,
    ),
    Scenario(
        name="interrupted",
        claim="SIGINT ends the wait, red",
        expected=(ExitCode.INTERRUPTED,),
        play=HANGS,
        side_action=send("SIGINT"),
        skip_reason=unless_ignored("SIGINT"),
    ),
    Scenario(
        name="terminated",
        claim="SIGTERM, a cancelled job, ends the wait, red",
        expected=(ExitCode.TERMINATED,),
        play=HANGS,
        side_action=send("SIGTERM"),
        skip_reason=unless_ignored("SIGTERM"),
    ),
)

NETWORK = (
    Scenario(
        name="flaky-pass",
        claim="PASS passes though every other read fails",
        expected=(ExitCode.OK,),
        faults=flaky_reads,
    ),
    Scenario(
        name="flaky-fail",
        claim="FAIL is red though every other read fails",
        expected=(ExitCode.FAIL,),
        faults=flaky_reads,
        play=MUCH_SLOWER,
    ),
    Scenario(
        name="lost-start",
        claim="a start without an answer is not repeated",
        expected=(ExitCode.START_UNKNOWN,),
        faults=lost_start,
    ),
    Scenario(
        name="found-start",
        claim="a tagged start without an answer is found, and not repeated",
        expected=(ExitCode.FAIL,),
        words=_accepting(_ALL, "--tag", "selftest"),
        faults=lost_start,
        play=MUCH_SLOWER,
    ),
    Scenario(
        name="server-down",
        claim="a server that is down passes nothing",
        expected=(ExitCode.UNAVAILABLE,),
        runs=0,
        is_down=True,
    ),
)

REFUSALS = (
    Scenario(
        name="quota",
        claim="a start that the server refuses does not pass",
        expected=(ExitCode.REFUSED,),
        runs=0,
        is_busy=True,
    ),
    Scenario(
        name="wrong-key",
        claim="a wrong key passes nothing",
        expected=(ExitCode.AUTHENTICATION,),
        runs=0,
        environ={"TM_API_KEY": "tm_wrong"},
    ),
    Scenario(
        name="typo",
        claim="a verdict that does not exist is no gate",
        expected=(ExitCode.USAGE,),
        runs=0,
        words=_accepting("FIAL"),
    ),
)

CALLERS = (
    Scenario(
        name="shell",
        claim="a shell hands the code on in $?",
        expected=(ExitCode.WARN,),
        play=SLOWER,
        caller=shell_status,
        skip_reason=unless_installed("sh"),
    ),
    Scenario(
        name="script",
        claim="a script with `set -e` ends at a red gate",
        expected=(ExitCode.FAIL,),
        play=MUCH_SLOWER,
        caller=shell_script,
        skip_reason=unless_installed("sh"),
    ),
    Scenario(
        name="pipe",
        claim="a pipe with `pipefail` hands the code on",
        expected=(ExitCode.FAIL,),
        play=MUCH_SLOWER,
        caller=pipe,
        skip_reason=unless_installed("bash"),
    ),
    Scenario(
        name="make",
        claim="a target of make fails at a red gate",
        expected=(2, 1),  # GNU make, BSD make
        play=SLOWER,
        caller=makefile,
        skip_reason=unless_installed("make"),
    ),
)

SCENARIOS = (*VERDICTS, *RUNS, *NETWORK, *REFUSALS, *CALLERS)
