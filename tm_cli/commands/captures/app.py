"""`tm captures`: profiles from recorded traffic."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from tm_cli.cli.app import App
from tm_cli.cli.global_options import group
from tm_cli.cli.session import CommandContext, with_session
from tm_cli.commands.shared.lists import ListOptions

app = App()

File = Annotated[
    str | None,
    typer.Argument(metavar="[FILE]", show_default=False, help="Capture; - is standard input."),
]
Source = Annotated[
    str | None,
    typer.Option("--source", metavar="SOURCE", help="Capture source of the server, by name or id."),
]
RemotePath = Annotated[
    str | None, typer.Option("--path", metavar="PATH", help="File of the capture source.")
]

Target = Annotated[
    str | None,
    typer.Option(
        "--target", metavar="URL", help="Server to send the requests to. [that of the capture]"
    ),
]


@app.callback()
@group
def captures() -> None:
    """Make profiles from recorded traffic."""


@app.command("analyse")
@with_session
def analyse(
    session: CommandContext,
    file: File = None,
    source: Source = None,
    path: RemotePath = None,
    target: Target = None,
) -> int:
    """List the kinds of requests in a capture; nothing is stored.

    A capture is a file with a JSON object per line. Each kind can become a profile.

    tm captures analyse traffic.jsonl
    """
    from tm_cli.commands.captures.analysis import opened, shown

    with opened(session, file, source, path, target) as capture:
        found = capture.analyse()
    return session.emit(found.document(), lambda: shown(session.terminal, capture.name, found))


@app.command("import")
@with_session
def import_capture(
    session: CommandContext,
    file: File = None,
    source: Source = None,
    path: RemotePath = None,
    select: Annotated[
        list[str] | None,
        typer.Option(
            "--select",
            metavar="GROUP",
            help="Kinds to import: all, numbers of the analysis such as 1,3-5, or METHOD URL.",
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="Name of the profile.")
    ] = None,
    target: Target = None,
) -> int:
    """Make a profile of each selected kind of requests, with the values that the capture has.

    Asks for the kinds on a terminal. A taken name gets a number.

    tm captures import traffic.jsonl --select 1,3
    """
    from tm_cli.commands.captures.analysis import opened
    from tm_cli.commands.captures.imports import check_options, import_groups

    check_options(session, select or [], name)
    with opened(session, file, source, path, target) as capture:
        return import_groups(session, capture, select or [], name)


@app.command("convert")
@with_session
def convert(
    session: CommandContext,
    file: Annotated[str, typer.Argument(metavar="FILE", help="File; - is standard input.")],
    kind: Annotated[
        Literal["har", "curl", "openapi"], typer.Option("--from", help="What the file is.")
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="File to write to. [standard output]"),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option("--target", metavar="URL", help="Server, where an OpenAPI file names none."),
    ] = None,
    host: Annotated[
        str | None,
        typer.Option("--host", metavar="HOST", help="Host whose requests to take. [the usual]"),
    ] = None,
    operation: Annotated[
        list[str] | None,
        typer.Option("--operation", metavar="NAME", help="Operation to take. [those that read]"),
    ] = None,
    include_assets: Annotated[
        bool, typer.Option("--include-assets", help="Take images, scripts and the like, too.")
    ] = False,
    include_unsafe: Annotated[
        bool, typer.Option("--include-unsafe", help="Take operations that change something, too.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file.")] = False,
) -> int:
    """Write a capture from a HAR file, curl commands or an OpenAPI file.

    Secrets are masked and personal data replaced, as far as they are recognised.

    tm captures convert recording.har --from har -o traffic.jsonl
    """
    from tm_cli.commands.captures.convert import converted, write
    from tm_cli.commands.profiles.new import Choice

    choice = Choice(
        kind,
        host=host,
        operations=tuple(operation or ()),
        include_assets=include_assets,
        include_unsafe=include_unsafe,
    )
    requests, notes = converted(session, file, choice, target)
    return write(session, requests, notes, output, force=force)


@app.command("sources")
@with_session
def sources(session: CommandContext, listing: ListOptions) -> int:
    """List the capture sources of the server: where it can read captures from.

    tm captures sources
    """
    from tm_cli.commands.captures.sources import list_sources

    return list_sources(session, listing)


@app.command("files")
@with_session
def files(
    session: CommandContext,
    source: Annotated[
        str,
        typer.Argument(metavar="SOURCE", help="Name or id of a source.", show_default=False),
    ],
    listing: ListOptions,
) -> int:
    """List the captures in a capture source, newest first.

    tm captures files production-logs

    tm captures analyse --source production-logs --path traffic.jsonl
    """
    from tm_cli.commands.captures.sources import list_files

    return list_files(session, source, listing)
