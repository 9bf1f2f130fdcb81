"""`tm profiles new`: reads a source, and writes a document that `tm` accepts."""

from __future__ import annotations

import json
import re
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from tm_cli.backends.trafficmorph.profile_documents import portable
from tm_cli.cli.session import CommandContext
from tm_cli.commands.shared.output_files import require_free, write_output
from tm_cli.errors import ConfigurationError, UsageError
from tm_cli.setup.answers import read_rate, read_seconds, read_target
from tm_cli.sources.access_log import LoggedMix, lines_of, pattern_of, read_mix, traffic_of
from tm_cli.sources.curl import read_curl
from tm_cli.sources.document_text import document_of, document_text, left_out
from tm_cli.sources.har import read_har
from tm_cli.sources.openapi import read_openapi
from tm_cli.sources.traffic import Traffic, UnusableSource
from tm_cli.values.documents import InvalidDocument
from tm_cli.values.load.placeholders import placeholders
from tm_cli.values.text import sanitize

LARGEST = 128 * 1024 * 1024
"""Bytes of a source that is read as a whole; a log may have any size."""
_CHUNK = 256 * 1024
_GZIP = b"\x1f\x8b"
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Choice:
    """What to read, and what to take of it; `log_format` is that of nginx."""

    kind: str
    host: str | None = None
    operations: tuple[str, ...] = ()
    log_format: str | None = None
    scale: float = 1.0
    include_assets: bool = False
    include_unsafe: bool = False


def make(
    session: CommandContext,
    file: str,
    choice: Choice,
    *,
    name: str | None,
    target: str | None,
    rate: str | None,
    duration: str | None,
) -> tuple[dict[str, Any], list[str]]:
    """Return the document, and notes on what is not in it.

    Raises ConfigurationError for a file that cannot be used, and UsageError for a bad option.
    """
    origin = None if target is None else _option("--target", read_target, target)
    per_second = 1.0 if rate is None else _option("--rate", read_rate, rate)
    seconds = None if duration is None else _option("--duration", read_seconds, duration)
    with explained(file):
        traffic = read_source(session, file, choice)
        if rate is not None and traffic.points:
            traffic = replace(traffic, points=())
        title = name or re.sub(r"[^\w.-]+", "-", Path(file).name.partition(".")[0]).strip("-")
        document = document_of(
            traffic, name=title or "new", origin=origin, rate=per_second, duration=seconds
        )
        try:
            portable(document)
        except InvalidDocument as problem:
            raise UnusableSource(f"no profile can be made of it: {problem}") from None
    return document, [*traffic.notes, *left_out(traffic, document), *_filled_in(document)]


def _filled_in(document: dict[str, Any]) -> Iterator[str]:
    names = dict.fromkeys(f"${{{each.name}}}" for each in placeholders(document))
    if names:
        yield f"a start fills in from the environment: {', '.join(names)}"


def _option(flag: str, read: Callable[[str], T], text: str) -> T:
    try:
        return read(text)
    except ValueError as problem:
        raise UsageError(f"{flag}: {problem}") from None


def read_source(session: CommandContext, file: str, choice: Choice) -> Traffic:
    """Return the requests of a file; raises UnusableSource, and OSError."""
    if choice.kind == "access-log":
        mix = read_log(
            session, file, log_format=choice.log_format, include_assets=choice.include_assets
        )
        return traffic_of(mix, scale=choice.scale)
    text = _whole(session, file)
    if choice.kind == "har":
        return read_har(text, host=choice.host, include_assets=choice.include_assets)
    if choice.kind == "curl":
        return read_curl(text)
    return read_openapi(text, operations=choice.operations, include_unsafe=choice.include_unsafe)


def read_log(
    session: CommandContext,
    file: str,
    *,
    log_format: str | None = None,
    include_assets: bool = False,
) -> LoggedMix:
    """Return what an access log says; raises UnusableSource, and OSError."""
    pattern = None if log_format is None else pattern_of(log_format)
    lines = lines_of(_chunks(session, file))
    return read_mix(lines, pattern=pattern, include_assets=include_assets)


@contextmanager
def explained(file: str) -> Iterator[None]:
    """Turn what is wrong with a file into an error that names it."""
    name = "standard input" if file == "-" else sanitize(file)
    try:
        yield
    except UnusableSource as problem:
        at = f":{problem.line}" if problem.line else ""
        raise ConfigurationError(f"{name}{at}: {sanitize(problem)}") from None
    except (OSError, EOFError, zlib.error) as problem:
        reason = getattr(problem, "strerror", None) or problem
        raise ConfigurationError(f"cannot read {name}: {sanitize(reason)}") from None


def _chunks(session: CommandContext, file: str) -> Iterator[bytes]:
    """The content of a file or of standard input, unpacked if it is packed by gzip."""
    if file == "-":
        yield from _unpacked(_pieces(sys.stdin.buffer))
        return
    with (session.context.cwd / file).open("rb") as opened:
        yield from _unpacked(_pieces(opened))


def _pieces(opened: BinaryIO) -> Iterator[bytes]:
    while piece := opened.read(_CHUNK):
        yield piece


def _unpacked(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Unpack gzip, also several parts in a row, without ever holding much of it."""
    first = next(pieces, b"")
    if not first.startswith(_GZIP):
        yield first
        yield from pieces
        return
    unpacker = zlib.decompressobj(wbits=31)
    for piece in chain([first], pieces):
        data = piece
        while data:
            if unpacker.eof:
                unpacker = zlib.decompressobj(wbits=31)
            yield unpacker.decompress(data, _CHUNK)
            data = unpacker.unconsumed_tail or unpacker.unused_data
    if not unpacker.eof:
        raise UnusableSource("the file ends in the middle of its packed content")


def _whole(session: CommandContext, file: str) -> str:
    """The text of a source; raises UnusableSource where it is too large."""
    content = bytearray()
    for chunk in _chunks(session, file):
        content += chunk
        if len(content) > LARGEST:
            raise UnusableSource(f"it is larger than {LARGEST >> 20} MiB")
    return content.decode("utf-8-sig", "replace")


def write(
    session: CommandContext,
    file: str,
    document: dict[str, Any],
    notes: list[str],
    output: Path | None,
    *,
    force: bool,
) -> int:
    """Print the document, or write it to a file; notes go to standard error as well."""
    source = "standard input" if file == "-" else Path(file).name
    text = document_text(document, notes, source=source)
    for note in notes:
        session.note(f"tm: {sanitize(note)}")
    if output is None:
        return session.emit(document, lambda: text.rstrip("\n"))
    require_free(session.context.cwd, output, force=force)
    is_json = output.suffix.lower() == ".json"
    content = json.dumps(document, indent=2) + "\n" if is_json else text
    write_output(session.context.cwd, output, content)
    session.note(f"tm: wrote {output}; start it with `tm runs start {output} --wait`")
    return 0
