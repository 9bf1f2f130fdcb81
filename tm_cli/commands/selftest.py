"""`tm selftest`: proves that the gate fails where it must, in this environment."""

from __future__ import annotations

import difflib
import shutil
from collections.abc import Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Annotated

import typer

from tm_cli.cli.app import App
from tm_cli.cli.session import CommandContext, with_session
from tm_cli.errors import ConfigurationError, UsageError
from tm_cli.exit_codes import ExitCode

if TYPE_CHECKING:
    from tm_cli.selftest.scenarios import ScenarioResult, SelftestScenario

app = App()


@app.command("selftest")
@with_session
def selftest(
    session: CommandContext,
    only: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Run only this scenario; repeatable."),
    ] = None,
    listed: Annotated[bool, typer.Option("--list", help="List the scenarios; run none.")] = False,
    program: Annotated[
        str | None,
        typer.Option(
            metavar="PATH", help="Program to test instead of tm, e.g. a wrapper around it."
        ),
    ] = None,
) -> int:
    """Check on this machine that gates fail when they must; takes less than a minute.

    Runs tm against servers with scripted runs and faults and compares the exit codes with the
    expected ones. Sends no load. Exits with 0 only if every scenario passed, else with 1.

    tm selftest

    tm selftest --only fail --only make
    """
    scenarios = _chosen(_catalogue(), only or [])
    if listed:
        return _list(session, scenarios)
    return _play(session, scenarios, _found(session, program))


def _list(session: CommandContext, scenarios: Sequence[SelftestScenario]) -> int:
    from tm_cli.render.check_results import listing, scenario_data

    data = {"scenarios": [scenario_data(scenario) for scenario in scenarios]}
    return session.emit(data, lambda: listing(scenarios))


def _catalogue() -> Sequence[SelftestScenario]:
    try:
        from tm_cli.selftest.scenarios import SCENARIOS
    except ModuleNotFoundError as missing:
        raise ConfigurationError(
            f"the embedded server, which runs the scenarios, is not installed "
            f"({missing.name} is missing)",
            hint="pip install 'tm-cli[local]'",
        ) from None
    return SCENARIOS


def _chosen(
    scenarios: Sequence[SelftestScenario], names: Sequence[str]
) -> Sequence[SelftestScenario]:
    known = {scenario.name: scenario for scenario in scenarios}
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else "`tm selftest --list` names them all"
            raise UsageError(f"unknown scenario {name!r}", hint=hint)
    return [known[name] for name in dict.fromkeys(names)] or scenarios


def _found(session: CommandContext, program: str | None) -> str | None:
    """The whole path of the program, because scenarios have directories of their own."""
    if program is None:
        return None
    found = shutil.which(program, path=session.context.environ.get("PATH"))
    if found is None:
        raise UsageError(f"--program: cannot find the program {program!r}")
    return str(session.context.cwd / found)


def _play(
    session: CommandContext, scenarios: Sequence[SelftestScenario], program: str | None
) -> int:
    from tm_cli.render.check_results import failure, line, scenario_result_data, summary
    from tm_cli.selftest.runner import run_scenarios

    results: list[ScenarioResult] = []
    clock, width = session.context.clock, max(len(scenario.name) for scenario in scenarios)
    began = clock.monotonic()
    with closing(run_scenarios(scenarios, session.context.environ, program)) as coming:
        for result in coming:
            results.append(result)
            if not session.wants_json:
                session.terminal.write_result(line(result, width))
    error = failure(results)
    if session.wants_json:
        data = {"scenarios": [scenario_result_data(result) for result in results]}
        return session.emit(data, str, error=error)
    if error is not None:
        raise error
    session.terminal.write_result(summary(results, clock.monotonic() - began))
    return int(ExitCode.OK)
