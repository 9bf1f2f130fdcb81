"""`tm bisect`: the commit that made a service slower."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from tm_cli.cli import options
from tm_cli.cli.app import App
from tm_cli.cli.help_page import LOAD
from tm_cli.cli.session import CommandContext, with_session
from tm_cli.completion.candidates import complete_profiles
from tm_cli.errors import UsageError

app = App()

_COMMITS, _UNDER_WAY = "Commits", "A search under way"


@app.command("bisect")
@with_session
def bisect(
    session: CommandContext,
    *,
    good: Annotated[
        str | None, typer.Argument(metavar="[GOOD]", help="A commit that is fast enough.")
    ] = None,
    bad: Annotated[
        str | None, typer.Argument(metavar="[BAD]", help="A later commit that is slower.")
    ] = None,
    serve: Annotated[
        str | None,
        typer.Option(
            metavar="COMMAND",
            help="Serves a commit at the port in PORT until it is ended; read by the shell.",
            rich_help_panel=_COMMITS,
        ),
    ] = None,
    build: Annotated[
        str | None,
        typer.Option(
            metavar="COMMAND",
            help="Builds a commit in a work tree of its own; read by the shell.",
            rich_help_panel=_COMMITS,
        ),
    ] = None,
    profile: Annotated[
        str | None,
        typer.Option(
            metavar="PROFILE|URL",
            autocompletion=complete_profiles,
            help="What to load: a profile or a URL, of which host and port are replaced.",
            rich_help_panel=LOAD,
        ),
    ] = None,
    rate: Annotated[
        str | None,
        typer.Option(
            metavar="RATE", help="Requests per second, with a URL. [50]", rich_help_panel=LOAD
        ),
    ] = None,
    duration: Annotated[
        str | None,
        typer.Option(
            metavar="DURATION", help="Duration of each run, with a URL. [30s]", rich_help_panel=LOAD
        ),
    ] = None,
    metric: Annotated[
        Literal["p50", "p95", "p99", "errors"] | None,
        typer.Option(
            metavar="METRIC",
            help="What is worse. [what differs most between GOOD and BAD]",
        ),
    ] = None,
    confidence: Annotated[
        str,
        typer.Option(metavar="PERCENT", help="How probable the result must be, 50 % to 99.9 %."),
    ] = "95%",
    max_runs: Annotated[
        int, typer.Option(min=1, max=1000, metavar="N", help="Give up after N runs.")
    ] = 40,
    first_parent: Annotated[
        bool,
        typer.Option(
            "--first-parent",
            help="Treat a merge as one commit: ignore the commits of merged branches.",
            rich_help_panel=_COMMITS,
        ),
    ] = False,
    build_timeout: Annotated[
        str,
        typer.Option(
            metavar="DURATION", help="Maximum time for a build.", rich_help_panel=_COMMITS
        ),
    ] = "30m",
    start_timeout: Annotated[
        str,
        typer.Option(
            metavar="DURATION",
            help="Maximum time until a service listens at its port.",
            rich_help_panel=_COMMITS,
        ),
    ] = "60s",
    resume: Annotated[
        bool,
        typer.Option("--continue", help="Go on with the search.", rich_help_panel=_UNDER_WAY),
    ] = False,
    status: Annotated[
        bool,
        typer.Option(
            "--status", help="Show what is known, and start nothing.", rich_help_panel=_UNDER_WAY
        ),
    ] = False,
    reset: Annotated[
        bool,
        typer.Option(
            "--reset",
            help="Forget the search, its logs and its work trees.",
            rich_help_panel=_UNDER_WAY,
        ),
    ] = False,
    yes: options.Yes = False,
) -> int:
    """Find the commit that made a service slower, by A/B runs of commits against GOOD.

    Builds and serves commits in work trees of their own; yours is not touched. Every run changes
    the probability of each commit, so that one wrong verdict does not mislead the search. Ends
    with 0 when a commit is found. After Ctrl-C, --continue goes on.

    tm bisect v1.4 main --build make --serve './server --port $PORT' --profile checkout.yaml

    tm bisect --continue
    """
    from tm_cli.commands.bisect import bisection

    flags = {"--continue": resume, "--status": status, "--reset": reset}
    chosen = [flag for flag, is_given in flags.items() if is_given]
    if not chosen:
        if good is None or bad is None or serve is None or profile is None:
            raise UsageError(
                "name GOOD and BAD, --serve and --profile",
                hint="e.g. tm bisect v1.4 main --serve './server --port $PORT' "
                "--profile http://localhost/checkout",
            )
        terms = bisection.read_terms(
            session,
            serve=serve,
            build=build,
            profile=profile,
            rate=rate,
            duration=duration,
            metric=metric,
            confidence=confidence,
            max_runs=max_runs,
            first_parent=first_parent,
            build_timeout=build_timeout,
            start_timeout=start_timeout,
        )
        return bisection.start(session, good, bad, terms)
    if len(chosen) > 1 or any((good, bad, serve, build, profile)):
        raise UsageError(f"{chosen[0]} stands alone", hint="the search keeps its commands")
    if status:
        return bisection.show_status(session)
    if reset:
        return bisection.reset(session, yes=yes)
    return bisection.resume(session)
