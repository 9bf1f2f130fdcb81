"""The commands of `tm profiles` that read and write documents and need no server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from tm_cli.cli import options
from tm_cli.cli.app import App
from tm_cli.cli.session import CommandContext, with_session

Paths = Annotated[
    list[str],
    typer.Argument(metavar="FILE|DIR...", help="Profile documents, or directories of them."),
]
Recursive = Annotated[
    bool, typer.Option("--recursive", "-R", help="Look into directories of directories.")
]

app = App()


@app.command("new")
@with_session
def new(
    session: CommandContext,
    file: Annotated[
        str | None,
        typer.Argument(metavar="[FILE]", help="File to read; - is standard input."),
    ] = None,
    *,
    kind: Annotated[
        Literal["har", "curl", "openapi", "access-log"] | None,
        typer.Option("--from", help="What the file is.", show_default=False),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="File to write to. [standard output]"),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="Name of the profile. [name of the file]")
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="Where the requests are to go. [where they went, or localhost:8080]"
        ),
    ] = None,
    rate: Annotated[
        str | None,
        typer.Option(metavar="RATE", help="Visitors per second. [1; a log's own curve]"),
    ] = None,
    duration: Annotated[
        str | None, typer.Option(metavar="DURATION", help="Duration of the run. [60s; the log's]")
    ] = None,
    scale: Annotated[
        float,
        typer.Option(min=0.0001, max=1000, metavar="FACTOR", help="Factor for the rates of a log."),
    ] = 1.0,
    host: Annotated[
        str | None,
        typer.Option(metavar="HOST", help="Host of a HAR file to keep. [the most frequent]"),
    ] = None,
    operation: Annotated[
        list[str] | None,
        typer.Option(metavar="ID", help="Operation of an OpenAPI document; repeatable. [all]"),
    ] = None,
    log_format: Annotated[
        str | None,
        typer.Option(
            "--format", metavar="TEXT", help="nginx log_format of a log. [common, combined, JSON]"
        ),
    ] = None,
    include_assets: Annotated[
        bool, typer.Option("--include-assets", help="Keep images, scripts, style sheets and fonts.")
    ] = False,
    include_unsafe: Annotated[
        bool,
        typer.Option("--include-unsafe", help="Keep operations that could change something."),
    ] = False,
) -> int:
    """Write a profile document: a commented one to start from, or one made from a file.

    Sources are HAR files, curl commands, OpenAPI and access logs.

    Secrets become placeholders such as ${TOKEN}, and personal data becomes example values, as far
    as it is recognised. Nothing is sent.

    tm profiles new --output checkout.yaml

    tm profiles new shop.har --from har -o shop.yaml

    tm profiles new access.log --from access-log --target http://localhost:8080 --duration 2m
    """
    from tm_cli.commands.profiles import new as making
    from tm_cli.commands.profiles import starter

    if kind is None or file is None:
        flags = {
            "--host": host is not None,
            "--operation": bool(operation),
            "--format": log_format is not None,
            "--scale": scale != 1.0,
            "--include-assets": include_assets,
            "--include-unsafe": include_unsafe,
        }
        given = [flag for flag, is_given in flags.items() if is_given]
        terms = starter.Terms(name, target, rate, duration)
        return starter.start(session, file, kind, given, terms, output, force=force)
    choice = making.Choice(
        kind,
        host=host,
        operations=tuple(operation or ()),
        log_format=log_format,
        scale=scale,
        include_assets=include_assets,
        include_unsafe=include_unsafe,
    )
    document, notes = making.make(
        session, file, choice, name=name, target=target, rate=rate, duration=duration
    )
    return making.write(session, file, document, notes, output, force=force)


@app.command("check")
@with_session
def check(session: CommandContext, paths: Paths, recursive: Recursive = False) -> int:
    """Check profile documents without a server: all problems, each with line, column and key.

    Exits with 78 if there are any.

    tm profiles check checkout.yaml

    tm profiles check profiles/ --recursive
    """
    from tm_cli.commands.profiles import check as checking

    return checking.check(session, paths, recursive=recursive)


@app.command("plot")
@with_session
def plot(
    session: CommandContext,
    profile: options.Profile,
    max_rate: Annotated[
        str | None,
        typer.Option(
            "--max-rate", metavar="RATE", help="Highest rate that is sent. [that of the server]"
        ),
    ] = None,
) -> int:
    """Draw the curve of a profile, and count its requests. A document needs no server.

    tm profiles plot checkout.yaml
    """
    from tm_cli.commands.profiles import plot as plotting

    return plotting.plot(session, profile, plotting.read_ceiling(max_rate))
