"""The command tree: groups by name, imported when named."""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, ClassVar

import typer
from typer.main import get_command

from tm_cli.cli.global_options import group
from tm_cli.cli.lazy import Entry, LazyGroup
from tm_cli.main import VERSION_LINE

_GATES = "Gates"
_SERVER = "Server"
_SETUP = "Set-up"


class _Root(LazyGroup):
    entries: ClassVar[dict[str, Entry]] = {
        "runs": Entry("tm_cli.commands.runs.app", "Start runs, wait for their verdict.", _GATES),
        "benchmarks": Entry(
            "tm_cli.commands.benchmarks.app", "Gate benchmark runs of Runloop.", _GATES
        ),
        "jobs": Entry("tm_cli.commands.jobs.app", "Gate on job runs of a Strait server.", _GATES),
        "gate": Entry("tm_cli.commands.gate", "Decide a saved report anew, explain it.", _GATES),
        "report": Entry("tm_cli.commands.report.app", "Show, convert and comment reports.", _GATES),
        "demo": Entry("tm_cli.commands.demo", "Watch a gate pass and fail, in a minute.", _GATES),
        "profiles": Entry("tm_cli.commands.profiles", "List, show and exchange profiles.", _SERVER),
        "history": Entry(
            "tm_cli.commands.history.app", "Look at runs that have ended, compare them.", _SERVER
        ),
        "baseline": Entry(
            "tm_cli.commands.baseline", "Choose the run that others are compared with.", _SERVER
        ),
        "serve": Entry("tm_cli.commands.serve", "Run the embedded server.", _SERVER),
        "agent": Entry("tm_cli.commands.agent", "Generate load for a server elsewhere.", _SERVER),
        "mcp": Entry("tm_cli.commands.mcp", "Offer the gate to assistants (MCP).", _SERVER),
        "auth": Entry("tm_cli.commands.auth.app", "Store a key, check keys, remove one.", _SETUP),
        "init": Entry("tm_cli.commands.init.app", "Set up a gate: profile, pipeline.", _SETUP),
        "config": Entry("tm_cli.commands.config", "Show the effective settings.", _SETUP),
        "doctor": Entry("tm_cli.commands.doctor", "Look whether a gate can work here.", _SETUP),
        "help": Entry("tm_cli.commands.help", "Explain a topic or a command.", _SETUP),
        "selftest": Entry("tm_cli.commands.selftest", "Prove that the gate goes red.", _SETUP),
        "completion": Entry(
            "tm_cli.commands.completion", "Print the completion script of a shell.", _SETUP
        ),
        "version": Entry("tm_cli.commands.version", "Print the version.", _SETUP),
    }


app = typer.Typer(
    name="tm",
    cls=_Root,
    no_args_is_help=True,
    add_completion=False,
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
    """Gate CI on load tests.

    Start a run, wait for its own verdict, turn it into an exit code:

      tm runs start checkout --wait --fail-on FAIL,WARN

    `tm init` sets a gate up, `tm doctor` looks whether it can work, `tm help` lists topics.

    Every command takes --json, --quiet, --verbose, --context NAME and others.
    """


@cache
def command() -> Any:
    """Return the root command, built once for all calls of a process."""
    return get_command(app)
