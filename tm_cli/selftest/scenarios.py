"""The scenarios: how the server behaves, how tm is called, and the expected result."""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
import signal
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import Any, Protocol

from tm_cli.api.trafficmorph import TrafficMorphClient
from tm_cli.exit_codes import ExitCode
from tm_cli.selftest.fault_proxy import FaultProxy, Faults, flaky_reads, lost_start, no_faults
from tm_cli.selftest.scripted_server import Ending, ScriptedRun

DOCUMENT = "load.json"
GATE = ("runs", "start", DOCUMENT, "--wait", "--poll-interval", "0.2", "--fail-on")
DEFAULT = ScriptedRun()


class Child(Protocol):
    """The running tm, as an action during the scenario sees it."""

    def send_signal(self, signal: int, /) -> None: ...


@dataclass(frozen=True, slots=True)
class ScenarioContext:
    """What a side action can use while tm waits; `client` connects to the server directly."""

    client: TrafficMorphClient
    profile_id: int
    proxy: FaultProxy
    child: Child


SideAction = Callable[[ScenarioContext], Coroutine[Any, Any, int]]
"""Something that happens while tm waits; returns how many runs it has started itself."""

Caller = Callable[[Sequence[str], Path], list[str]]
"""The words that call tm and a directory to the words that are called instead."""


def directly(words: Sequence[str], _directory: Path) -> list[str]:
    return list(words)


@dataclass(frozen=True, slots=True)
class SelftestScenario:
    """One call of tm, and its expected result.

    `expected` are the exit codes that are right, `runs` is how many runs tm must have started.
    `earlier` runs are in the history already, `script` is that of tm's own run. With `is_busy`
    another run is active, and the server allows one. `environ` is set for tm alone; `skip_reason`
    gives the reason if the scenario is impossible here, from the environment.
    """

    name: str
    claim: str
    expected: tuple[int, ...]
    _: KW_ONLY
    runs: int = 1
    words: tuple[str, ...] = (*GATE, "FAIL,WARN,NO_BASELINE")
    earlier: tuple[ScriptedRun, ...] = (DEFAULT,)
    script: ScriptedRun = DEFAULT
    is_busy: bool = False
    is_down: bool = False
    faults: Callable[[], Faults] = no_faults
    side_action: SideAction | None = None
    caller: Caller = directly
    environ: Mapping[str, str] = field(default_factory=dict)
    skip_reason: Callable[[Mapping[str, str]], str | None] = lambda _environ: None


@dataclass(frozen=True, slots=True)
class ScenarioResult:
    """The result of a scenario: `code` is None if tm did not end, `last_lines` are tm's.

    A scenario that is impossible here has `skipped`, the reason.
    """

    scenario: SelftestScenario
    code: int | None = None
    runs: int = 0
    seconds: float = 0.0
    last_lines: tuple[str, ...] = ()
    skipped: str | None = None

    @property
    def passed(self) -> bool:
        """Whether exit code and number of runs are as expected; False for a skipped scenario."""
        return self.code in self.scenario.expected and self.runs == self.scenario.runs


Why = Callable[[Mapping[str, str]], str | None]


def shell_status(words: Sequence[str], _directory: Path) -> list[str]:
    """Call it in a shell that keeps `$?` and ends with it."""
    return ["sh", "-c", '"$@"; code=$?; echo "tm ended with $code"; exit "$code"', "sh", *words]


def shell_script(words: Sequence[str], directory: Path) -> list[str]:
    """Call it in a script that ends at the first failure."""
    script = directory / "gate.sh"
    script.write_text('set -e\n"$@"\necho "deployed"\n', encoding="utf-8")
    return ["sh", script.name, *words]


def pipe(words: Sequence[str], _directory: Path) -> list[str]:
    """Pipe its output into another program, as with `shell: bash` on GitHub."""
    return ["bash", "-eo", "pipefail", "-c", '"$@" | cat', "bash", *words]


def makefile(words: Sequence[str], directory: Path) -> list[str]:
    """Call it in the recipe of a target that another one needs."""
    recipe = shlex.join(words).replace("$", "$$")
    text = f".PHONY: gate deploy\ndeploy: gate\n\t@echo deployed\ngate:\n\t@{recipe}\n"
    (directory / "Makefile").write_text(text, encoding="utf-8")
    return ["make", "deploy"]


def unless_installed(program: str) -> Why:
    """Skip the scenario where this POSIX program is not installed."""

    def skip_reason(environ: Mapping[str, str]) -> str | None:
        if os.name == "nt":
            return f"{program} is for POSIX systems"
        found = shutil.which(program, path=environ.get("PATH"))
        return None if found else f"there is no {program} here"

    return skip_reason


_POLL_INTERVAL = 0.05


async def stop_run(context: ScenarioContext) -> int:
    await _polled(context)
    await asyncio.to_thread(context.client.stop_run, context.profile_id)
    return 0


async def replace_run(context: ScenarioContext) -> int:
    await _polled(context)
    await asyncio.to_thread(context.client.start_run, context.profile_id)
    return 1


def send(name: str) -> SideAction:
    async def interrupt(context: ScenarioContext) -> int:
        await _polled(context)
        context.child.send_signal(getattr(signal, name))
        return 0

    return interrupt


def unless_ignored(name: str) -> Callable[[Mapping[str, str]], str | None]:
    """Skip the scenario where child processes ignore this signal."""

    def skip_reason(_environ: Mapping[str, str]) -> str | None:
        if os.name == "nt":
            return "signals are for POSIX systems"
        if signal.getsignal(getattr(signal, name)) is signal.SIG_IGN:
            return f"{name} is ignored here, and so it is by what is started here"
        return None

    return skip_reason


async def _polled(context: ScenarioContext) -> None:
    """Wait until tm has started its run and polled it."""
    while not context.proxy.has_been_polled:
        await asyncio.sleep(_POLL_INTERVAL)


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
    SelftestScenario("fail", "FAIL fails the gate", (ExitCode.FAIL,), script=MUCH_SLOWER),
    SelftestScenario("warn", "WARN fails the gate", (ExitCode.WARN,), script=SLOWER),
    SelftestScenario(
        "warn-accepted",
        "WARN passes if --fail-on omits it",
        (ExitCode.OK,),
        words=_accepting("FAIL"),
        script=SLOWER,
    ),
    SelftestScenario(
        "no-baseline", "NO_BASELINE fails the gate", (ExitCode.NO_BASELINE,), earlier=()
    ),
    SelftestScenario(
        "no-baseline-accepted",
        "NO_BASELINE passes if --fail-on omits it",
        (ExitCode.OK,),
        words=_accepting("FAIL,WARN"),
        earlier=(),
    ),
    SelftestScenario(
        "failed-check",
        "a failed --assert fails the gate despite PASS",
        (ExitCode.FAIL,),
        words=_accepting(_ALL, "--assert", "p95<1ms"),
    ),
    SelftestScenario(
        "slow-verdict",
        "tm waits for a delayed verdict",
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
        "SIGINT ends the wait and does not pass",
        (ExitCode.INTERRUPTED,),
        script=HANGS,
        side_action=send("SIGINT"),
        skip_reason=unless_ignored("SIGINT"),
    ),
    SelftestScenario(
        "terminated",
        "SIGTERM, as for a canceled job, ends the wait and does not pass",
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
        "FAIL fails the gate though every other read fails",
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
        "a script with `set -e` ends at a failed gate",
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
        "a make target fails when the gate fails",
        (2, 1),
        script=SLOWER,
        caller=makefile,
        skip_reason=unless_installed("make"),
    ),
)

SCENARIOS = (*VERDICTS, *RUNS, *NETWORK, *REFUSALS, *CALLERS)
