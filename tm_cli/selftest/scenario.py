"""A scenario: how the server behaves, how tm is called, and the expected result."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import Any, Protocol

from tm_cli.api.trafficmorph.client import Client
from tm_cli.selftest.relay import FaultProxy, Faults, no_faults
from tm_cli.server.scripted.play import ScriptedRun

DOCUMENT = "load.json"
GATE = ("runs", "start", DOCUMENT, "--wait", "--poll-interval", "0.2", "--fail-on")
DEFAULT = ScriptedRun()


class Child(Protocol):
    """The running tm, as something that happens meanwhile sees it."""

    def send_signal(self, signal: int, /) -> None: ...


@dataclass(frozen=True, slots=True)
class ScenarioContext:
    """What a side action can use while tm waits; `client` connects to the server directly."""

    client: Client
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
