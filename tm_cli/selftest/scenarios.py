"""What a scenario is: how the server behaves, how tm is called, what must come of it."""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
import signal
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from tm_cli.api.trafficmorph.client import Client
from tm_cli.exit_codes import ExitCode
from tm_cli.selftest.fault_proxy import Faults, Relay, flaky_reads, lost_start, no_faults
from tm_cli.selftest.scripted_server import Ending, Play

DOCUMENT = "load.json"
GATE = ("runs", "start", DOCUMENT, "--wait", "--poll-interval", "0.2", "--fail-on")
USUAL = Play()


class Child(Protocol):
    """The running tm, as something that happens meanwhile sees it."""

    def send_signal(self, signal: int, /) -> None:
        """Send it a signal."""
        ...


@dataclass(frozen=True, slots=True)
class Scene:
    """What somebody else can reach while tm waits; `client` speaks to the server directly."""

    client: Client
    profile_id: int
    relay: Relay
    child: Child


Meanwhile = Callable[[Scene], Coroutine[Any, Any, int]]
"""Something that happens while tm waits; returns how many runs it has started itself."""

Caller = Callable[[Sequence[str], Path], list[str]]
"""The words that call tm and a directory to the words that are called instead."""


def directly(words: Sequence[str], _directory: Path) -> list[str]:
    """Call tm without anything in between."""
    return list(words)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One call of tm, and what must come of it.

    `expected` are the exit codes that are right, `runs` is how many runs tm must have started.
    `earlier` runs are in the history already, `play` is what tm's own run does. With `is_busy`
    another run is going on, and the server allows one. `environ` is set for tm alone; `why_not`
    gives the reason if the scenario is impossible here, from the environment.
    """

    name: str
    claim: str
    expected: tuple[int, ...]
    runs: int = 1
    words: tuple[str, ...] = (*GATE, "FAIL,WARN,NO_BASELINE")
    earlier: tuple[Play, ...] = (USUAL,)
    play: Play = USUAL
    is_busy: bool = False
    is_down: bool = False
    faults: Callable[[], Faults] = no_faults
    meanwhile: Meanwhile | None = None
    caller: Caller = directly
    environ: Mapping[str, str] = field(default_factory=dict)
    why_not: Callable[[Mapping[str, str]], str | None] = lambda _environ: None


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a scenario: `code` is None without an end, `said` are tm's last lines.

    A scenario that is impossible here has `skipped`, the reason.
    """

    scenario: Scenario
    code: int | None = None
    runs: int = 0
    seconds: float = 0.0
    said: tuple[str, ...] = ()
    skipped: str | None = None

    @property
    def is_right(self) -> bool:
        """Whether everything came as it must; a skipped scenario proves nothing."""
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


def needs(program: str) -> Why:
    """Why a scenario with this POSIX program is impossible here."""

    def why_not(environ: Mapping[str, str]) -> str | None:
        if os.name == "nt":
            return f"{program} is for POSIX systems"
        found = shutil.which(program, path=environ.get("PATH"))
        return None if found else f"there is no {program} here"

    return why_not


_LOOK = 0.05


async def stop_run(scene: Scene) -> int:
    """Stop tm's run."""
    await _watched(scene)
    await asyncio.to_thread(scene.client.stop_run, scene.profile_id)
    return 0


async def replace_run(scene: Scene) -> int:
    """Start another run in the place of tm's."""
    await _watched(scene)
    await asyncio.to_thread(scene.client.start_run, scene.profile_id)
    return 1


def send(name: str) -> Meanwhile:
    """Send tm a signal."""

    async def interrupt(scene: Scene) -> int:
        await _watched(scene)
        scene.child.send_signal(getattr(signal, name))
        return 0

    return interrupt


def can_receive(name: str) -> Callable[[Mapping[str, str]], str | None]:
    """Why a program that is started here cannot be told to end by this signal."""

    def why_not(_environ: Mapping[str, str]) -> str | None:
        if os.name == "nt":
            return "signals are for POSIX systems"
        if signal.getsignal(getattr(signal, name)) is signal.SIG_IGN:
            return f"{name} is ignored here, and so it is by what is started here"
        return None

    return why_not


async def _watched(scene: Scene) -> None:
    """Wait until tm has started its run and looked at it."""
    while not scene.relay.has_been_watched:
        await asyncio.sleep(_LOOK)


SLOWER = Play(ms=22.0)
MUCH_SLOWER = Play(ms=40.0)
HELD = Play(ending=Ending.HELD)
BROKEN = Play(ending=Ending.BROKEN)
JUDGED_LATE = Play(verdict_after=1.5)
NEVER_JUDGED = Play(verdict_after=None)

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
        play=HELD,
        meanwhile=replace_run,
    ),
    Scenario(
        name="stopped",
        claim="a run that somebody stopped does not pass",
        expected=(ExitCode.UNDECIDED,),
        play=HELD,
        meanwhile=stop_run,
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
        play=HELD,
    ),
    Scenario(
        name="interrupted",
        claim="SIGINT ends the wait, red",
        expected=(ExitCode.INTERRUPTED,),
        play=HELD,
        meanwhile=send("SIGINT"),
        why_not=can_receive("SIGINT"),
    ),
    Scenario(
        name="terminated",
        claim="SIGTERM, a cancelled job, ends the wait, red",
        expected=(ExitCode.TERMINATED,),
        play=HELD,
        meanwhile=send("SIGTERM"),
        why_not=can_receive("SIGTERM"),
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
        why_not=needs("sh"),
    ),
    Scenario(
        name="script",
        claim="a script with `set -e` ends at a red gate",
        expected=(ExitCode.FAIL,),
        play=MUCH_SLOWER,
        caller=shell_script,
        why_not=needs("sh"),
    ),
    Scenario(
        name="pipe",
        claim="a pipe with `pipefail` hands the code on",
        expected=(ExitCode.FAIL,),
        play=MUCH_SLOWER,
        caller=pipe,
        why_not=needs("bash"),
    ),
    Scenario(
        name="make",
        claim="a target of make fails at a red gate",
        expected=(2, 1),  # GNU make, BSD make
        play=SLOWER,
        caller=makefile,
        why_not=needs("make"),
    ),
)

SCENARIOS = (*VERDICTS, *RUNS, *NETWORK, *REFUSALS, *CALLERS)
