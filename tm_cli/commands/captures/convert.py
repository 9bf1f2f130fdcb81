"""`tm captures convert`: captures from other files, without their secrets."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from tm_cli.cli.session import CommandContext
from tm_cli.commands.profiles.new import Choice, explained, read_source
from tm_cli.commands.shared.output_files import require_free, write_output
from tm_cli.errors import UsageError
from tm_cli.setup.answers import read_target
from tm_cli.sources.traffic import SourceRequest, Traffic, UnusableSource
from tm_cli.values.load.captures import REDACTED, CapturedRequest, write_request
from tm_cli.values.text import sanitize

_PLACEHOLDER = re.compile(r"(?<!\$)\$\{[A-Z_][A-Z0-9_]*\}")
_MACRO = re.compile(r"\$\$[^\s${}]+\$\$")
_EXAMPLE = "1"
"""What stands for a parameter of a path without an example."""


def converted(
    session: CommandContext, file: str, choice: Choice, target: str | None
) -> tuple[list[CapturedRequest], list[str]]:
    """The requests of a file, one a second where it does not say when, and notes."""
    try:
        origin = None if target is None else read_target(target).rstrip("/")
    except ValueError as problem:
        raise UsageError(f"--target: {problem}") from None
    with explained(file):
        traffic = read_source(session, file, choice)
        if origin is None and not all(request.origin for request in traffic.requests):
            raise UnusableSource("it names no server; --target does")
    return list(_captured(traffic, origin)), [*traffic.notes, *_replaced(traffic)]


def _captured(traffic: Traffic, origin: str | None) -> Iterator[CapturedRequest]:
    begin = min((request.at for request in traffic.requests if request.at), default=0.0)
    for number, request in enumerate(traffic.requests):
        at = float(number) if request.at is None else request.at - begin
        if origin is not None:
            request = replace(request, url=origin + request.target)
        yield CapturedRequest(
            at,
            request.method,
            _masked(_MACRO.sub(_EXAMPLE, request.url)),
            {name: _masked_header(value) for name, value in request.headers.items()},
            None if request.body is None else _masked(request.body),
        )


def _masked(text: str) -> str:
    """The text with a mask for each placeholder of a secret, and others as they were."""
    return _PLACEHOLDER.sub(REDACTED, text).replace("$${", "${")


def _masked_header(value: str) -> str:
    return REDACTED if _PLACEHOLDER.search(value) else _masked(value)


def _replaced(traffic: Traffic) -> Iterator[str]:
    if traffic.has_cookies:
        yield "cookies are left out"
    if any(_has_secret(request) for request in traffic.requests):
        yield f"secrets are masked as {REDACTED}"
    if any(_MACRO.search(request.url) for request in traffic.requests):
        yield f"parameters of paths without an example are {_EXAMPLE}"


def _has_secret(request: SourceRequest) -> bool:
    texts = (request.url, request.body or "", *request.headers.values())
    return any(_PLACEHOLDER.search(text) for text in texts)


def write(
    session: CommandContext,
    requests: Sequence[CapturedRequest],
    notes: Sequence[str],
    output: Path | None,
    *,
    force: bool,
) -> int:
    """Print the capture, or write it to a file; notes go to standard error."""
    for note in notes:
        session.note(f"tm: {sanitize(note)}")
    text = "".join(write_request(request) + "\n" for request in requests)
    if output is None:
        session.terminal.write_part(text)
        return 0
    require_free(session.context.cwd, output, force=force)
    write_output(session.context.cwd, output, text)
    count = "1 request" if len(requests) == 1 else f"{len(requests):,} requests"
    return session.emit(
        {"file": str(output), "requests": len(requests), "notes": list(notes)},
        lambda: f"wrote {output} with {count}; `tm captures analyse {output}` lists its kinds",
    )
