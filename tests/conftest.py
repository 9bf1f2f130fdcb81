"""Fixtures that every test may use: a clock that only sleeping moves, and `tm` itself."""

from __future__ import annotations

import io
import json
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn

import pytest
from pytest_httpserver import HTTPServer

from tests.services.trafficmorph import KEY, TOKEN, ScriptedServer
from tests.simulation import scale
from tests.tiers import Tiers
from tm_cli.main import main
from tm_cli.runtime.environment import Environment
from tm_cli.runtime.terminal import Terminal

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a job in the background starts
    signal.signal(signal.SIGINT, signal.default_int_handler)

os.environ["PYTHON_KEYRING_BACKEND"] = "keyring.backends.null.Keyring"  # the user's is off limits


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Tiers(), "tiers")


def pytest_report_header() -> str:
    return scale.description()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if terminalreporter.stats.get("failed"):
        terminalreporter.write_line(scale.description())


pytest_plugins = ("tests.services.runloop_fixtures", "tests.services.strait.fixtures")


@dataclass
class FakeClock:
    """Sleeping moves it forward and is recorded; nothing else takes time."""

    seconds: float = 1000.0
    wall: datetime = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
    slept: list[float] = field(default_factory=list)

    def monotonic(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return self.wall

    def sleep(self, seconds: float) -> None:
        assert seconds >= 0, "time does not run backwards"
        assert len(self.slept) < 2000, "this wait has no end"
        self.slept.append(round(seconds, 3))
        self.seconds += seconds
        self.wall += timedelta(seconds=seconds)

    def wait(self, event: threading.Event, seconds: float) -> bool:
        if not event.is_set():
            self.sleep(seconds)
        return event.is_set()


@dataclass(frozen=True)
class Outcome:
    """What a user sees of one command."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> dict[str, Any]:
        return json.loads(self.stdout)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def tm(tmp_path: Path, clock: FakeClock) -> Callable[..., Outcome]:
    """Run tm in an empty directory with an empty environment; no server may be started."""
    work, home = tmp_path / "work", tmp_path / "home"
    work.mkdir()
    home.mkdir()

    def run(
        *argv: str,
        environ: Mapping[str, str] | None = None,
        live: bool = False,
        at_terminal: bool = False,
        launch: Callable[[Path], Any] = _no_launch,
        typed: str | None = None,
        secret: str | None = None,
        make_token: Callable[[], str] = lambda: TOKEN,
    ) -> Outcome:
        out, err = io.StringIO(), io.StringIO()
        context = Environment(
            environ=environ if environ is not None else {},
            terminal=Terminal(
                out,
                err,
                live=live,
                out_is_terminal=at_terminal,
                width=100,
                keyboard=None if typed is None else io.StringIO(typed),
            ),
            clock=clock,
            cwd=work,
            find_user_dir=lambda: home,
            find_state_dir=lambda: tmp_path / "state",
            launch=launch,
            make_token=make_token,
            read_secret=lambda _prompt: secret or _no_secret(),
        )
        return Outcome(main(list(argv), context), out.getvalue(), err.getvalue())

    run.cwd = work  # type: ignore[attr-defined]
    run.home = home  # type: ignore[attr-defined]
    return run


def _no_launch(_data_dir: Path) -> NoReturn:
    raise AssertionError("this test must not start a server")


def _no_secret() -> NoReturn:
    raise AssertionError("this test must not ask for a key")


@pytest.fixture
def server(httpserver: HTTPServer) -> Iterator[ScriptedServer]:
    """A TrafficMorph server that answers as scripted, each request once and in order."""
    yield ScriptedServer(httpserver)
    httpserver.check()
    assert not httpserver.ordered_handlers, "an expected request was never sent"


@pytest.fixture
def gate(tm: Callable[..., Outcome], server: ScriptedServer) -> Callable[..., Outcome]:
    """Run tm against the scripted server."""

    def run(*argv: str, **options: Any) -> Outcome:
        return tm(*argv, environ={"TM_BASE_URL": server.url, "TM_API_KEY": KEY}, **options)

    return run
