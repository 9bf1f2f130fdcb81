"""What a scenario is: how the server behaves, how tm is called, what must come of it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
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

    def send_signal(self, signal: int, /) -> None:
        """Send it a signal."""
        ...


@dataclass(frozen=True, slots=True)
class ScenarioContext:
    """What somebody else can reach while tm waits; `client` speaks to the server directly."""

    client: Client
    profile_id: int
    proxy: FaultProxy
    child: Child


SideAction = Callable[[ScenarioContext], Coroutine[Any, Any, int]]
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
    another run is going on, and the server allows one. `environ` is set for tm alone; `skip_reason`
    gives the reason if the scenario is impossible here, from the environment.
    """

    name: str
    claim: str
    expected: tuple[int, ...]
    runs: int = 1
    words: tuple[str, ...] = (*GATE, "FAIL,WARN,NO_BASELINE")
    earlier: tuple[ScriptedRun, ...] = (DEFAULT,)
    play: ScriptedRun = DEFAULT
    is_busy: bool = False
    is_down: bool = False
    faults: Callable[[], Faults] = no_faults
    side_action: SideAction | None = None
    caller: Caller = directly
    environ: Mapping[str, str] = field(default_factory=dict)
    skip_reason: Callable[[Mapping[str, str]], str | None] = lambda _environ: None


@dataclass(frozen=True, slots=True)
class ScenarioResult:
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
