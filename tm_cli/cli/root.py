"""The command tree: groups by name, imported when named."""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, ClassVar

import typer
from typer.main import get_command

from tm_cli import VERSION_LINE
from tm_cli.cli.app import App, Entry, LazyGroup
from tm_cli.cli.global_options import group

_GATES = "Gates"
_SERVER = "Server"
_SETUP = "Set-up"


class _Root(LazyGroup):
    entries: ClassVar[dict[str, Entry]] = {
        "run": Entry("tm_cli.commands.run", "Test a URL or a document and gate on FAIL.", _GATES),
        "runs": Entry("tm_cli.commands.runs.app", "Start runs and gate on their verdicts.", _GATES),
        "benchmarks": Entry(
            "tm_cli.commands.benchmarks.app", "Gate on Runloop benchmark runs.", _GATES
        ),
        "jobs": Entry("tm_cli.commands.jobs.app", "Gate on job runs of a Strait server.", _GATES),
        "report": Entry(
            "tm_cli.commands.report.app",
            "Re-evaluate, explain, convert and comment reports.",
            _GATES,
        ),
        "gate": Entry(
            "tm_cli.commands.report.app",
            "Re-evaluate or explain a report.",
            hidden=True,
            attribute="gate_app",
        ),
        "bisect": Entry(
            "tm_cli.commands.bisect.app", "Find the commit that made a service slower.", _GATES
        ),
        "demo": Entry("tm_cli.commands.demo", "Watch a gate pass and fail, in a minute.", _GATES),
        "profiles": Entry(
            "tm_cli.commands.profiles.app", "Make, change, apply and exchange profiles.", _SERVER
        ),
        "captures": Entry(
            "tm_cli.commands.captures.app", "Make profiles from recorded traffic.", _SERVER
        ),
        "history": Entry(
            "tm_cli.commands.history.app", "List, show and compare finished runs.", _SERVER
        ),
        "variables": Entry(
            "tm_cli.commands.variables", "Keep CSV data that profiles fill in.", _SERVER
        ),
        "domains": Entry(
            "tm_cli.commands.domains", "Add and verify domains that load may be sent to.", _SERVER
        ),
        "baseline": Entry(
            "tm_cli.commands.baseline", "Choose the run that later runs are compared with.", _SERVER
        ),
        "plan": Entry(
            "tm_cli.commands.plan", "Tell what a profile can detect, and what it takes.", _SERVER
        ),
        "calibrate": Entry(
            "tm_cli.commands.calibrate", "Measure the noise of this class of machines.", _SERVER
        ),
        "account": Entry(
            "tm_cli.commands.account", "Show the account's limits and usage.", _SERVER
        ),
        "regions": Entry(
            "tm_cli.commands.account",
            "List the regions that can generate load.",
            _SERVER,
            attribute="regions_app",
        ),
        "serve": Entry("tm_cli.commands.serve", "Run the embedded server.", _SERVER),
        "agent": Entry(
            "tm_cli.commands.agent", "Generate load for a server on another machine.", _SERVER
        ),
        "mcp": Entry("tm_cli.commands.mcp", "Serve gates and API to AI assistants (MCP).", _SERVER),
        "auth": Entry("tm_cli.commands.auth.app", "Store, check and remove API keys.", _SETUP),
        "init": Entry(
            "tm_cli.commands.init.app", "Set up a gate: profile, settings, CI pipeline.", _SETUP
        ),
        "schema": Entry(
            "tm_cli.commands.schema", "Print the JSON Schema of documents and settings.", _SETUP
        ),
        "config": Entry("tm_cli.commands.config", "Show the effective settings.", _SETUP),
        "doctor": Entry("tm_cli.commands.doctor", "Check that a gate can work here.", _SETUP),
        "help": Entry("tm_cli.commands.help", "Show help on a topic or a command.", _SETUP),
        "selftest": Entry(
            "tm_cli.commands.selftest", "Check that gates fail when they must.", _SETUP
        ),
        "completion": Entry(
            "tm_cli.commands.completion", "Print the completion script for a shell.", _SETUP
        ),
        "version": Entry("tm_cli.commands.version", "Print the version.", _SETUP),
    }


app = App(
    name="tm",
    cls=_Root,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)


def _version(*, wanted: bool) -> None:
    if wanted:
        typer.echo(VERSION_LINE)
        raise typer.Exit


@app.callback()
@group
def _tm(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            is_eager=True,
            callback=lambda value: _version(wanted=value),
            help="Print the version and exit.",
        ),
    ] = False,
) -> None:
    """Gate CI on load tests: start a run, wait for its verdict, exit by it.

    `tm init` sets up a gate, `tm doctor` checks that it can work, `tm help` lists topics.
    All commands take --json, --quiet, --verbose, --context NAME and other global options.

    tm runs start checkout --wait --fail-on FAIL,WARN
    """


@cache
def root_command() -> Any:
    """Return the root command, built once for all calls of a process."""
    return get_command(app)
