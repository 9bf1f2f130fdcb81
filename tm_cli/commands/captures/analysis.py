"""A capture that a server analyses: a file that is sent to it, or one of its sources."""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import urlsplit

from tm_cli.cli.session import CommandContext
from tm_cli.commands.captures.sources import find_source
from tm_cli.errors import ConfigurationError, UsageError
from tm_cli.runtime.terminal import Terminal
from tm_cli.setup.answers import read_target
from tm_cli.sources.traffic import SourceRequest
from tm_cli.values.durations import format_duration
from tm_cli.values.load.captures import (
    LARGEST_CAPTURE,
    InvalidLine,
    UnusableCapture,
    numbered_lines,
    read_request,
    write_request,
)
from tm_cli.values.text import sanitize

if TYPE_CHECKING:
    from tm_cli.api.trafficmorph import CaptureAnalysis, CaptureGroup, CaptureImport
    from tm_cli.api.transport import Upload

_PIECE = 256 * 1024
_MEDIA_TYPE = "application/x-ndjson"


@dataclass(frozen=True)
class LocalCapture:
    """A file on this machine, which is sent for each operation."""

    session: CommandContext
    name: str
    file: BinaryIO

    def analyse(self) -> CaptureAnalysis:
        with self._upload() as upload:
            return self.session.client.analyse_capture(upload)

    def import_groups(self, groups: Sequence[Mapping[str, str]]) -> CaptureImport:
        with self._upload() as upload:
            return self.session.client.import_capture(upload, groups)

    @contextmanager
    def _upload(self) -> Iterator[Upload]:
        from tm_cli.api.transport import Upload
        from tm_cli.render.upload import upload_progress

        self.file.seek(0)
        size = os.fstat(self.file.fileno()).st_size
        name = Path(self.name).name.encode("ascii", "replace").decode()
        is_shown = self.session.terminal.live and not self.session.quiet
        with upload_progress(self.session.terminal, size, is_shown=is_shown) as report:
            yield Upload(self.file, name, _MEDIA_TYPE, report=report)


@dataclass(frozen=True)
class RemoteCapture:
    """A file of a capture source, which the server reads."""

    session: CommandContext
    name: str
    source_id: int
    path: str

    def analyse(self) -> CaptureAnalysis:
        return self.session.client.analyse_remote_capture(self.source_id, self.path)

    def import_groups(self, groups: Sequence[Mapping[str, str]]) -> CaptureImport:
        return self.session.client.import_remote_capture(self.source_id, self.path, groups)


@contextmanager
def opened(
    session: CommandContext,
    file: str | None,
    source: str | None,
    path: str | None,
    target: str | None = None,
) -> Iterator[LocalCapture | RemoteCapture]:
    """Open what the options name; raises UsageError, and ConfigurationError for a bad file.

    With a `target` the requests of a file are those to another server.
    """
    if (file is None) == (source is None):
        raise UsageError("give either a FILE, or --source and --path")
    if (source is None) != (path is None):
        raise UsageError("--source and --path belong together")
    if source is not None and path is not None:
        if target is not None:
            raise UsageError(
                "--target goes with a FILE; a capture of a source is not sent from here"
            )
        yield RemoteCapture(session, path, find_source(session, source).id, path)
        return
    origin = None if target is None else _origin(target)
    name = "standard input" if file == "-" else str(file)
    with _local(session, str(file)) as opened_file:
        _check(session, name, opened_file)
        if origin is None:
            yield LocalCapture(session, name, opened_file)
            return
        with tempfile.TemporaryFile() as copy:
            _retarget(opened_file, copy, origin)
            yield LocalCapture(session, name, copy)


def _origin(target: str) -> str:
    try:
        url = urlsplit(read_target(target))
    except ValueError as problem:
        raise UsageError(f"--target: {problem}") from None
    if url.path.strip("/") or url.query:
        raise UsageError("--target: give scheme and host alone; paths come from the capture")
    return f"{url.scheme}://{url.netloc}"


def _retarget(file: BinaryIO, copy: BinaryIO, origin: str) -> None:
    """Copy a capture with another server in its URLs, each line in its place."""
    file.seek(0)
    before = 0
    for number, line in numbered_lines(_pieces(file)):
        copy.write(b"\n" * (number - before - 1))
        with suppress(InvalidLine):
            request = read_request(line)
            own = SourceRequest(request.method, request.url)
            line = write_request(replace(request, url=origin + own.target)).encode()
        copy.write(line.rstrip(b"\r") + b"\n")
        before = number


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    return iter(lambda: file.read(_PIECE), b"")


@contextmanager
def _local(session: CommandContext, file: str) -> Iterator[BinaryIO]:
    """The file; of a pipe or a device a copy, of no more than tells that it is too large."""
    with ExitStack() as stack:
        try:
            found: BinaryIO = sys.stdin.buffer
            if file != "-":
                found = stack.enter_context((session.context.cwd / file).open("rb"))
            if file == "-" or not stat.S_ISREG(os.fstat(found.fileno()).st_mode):
                found = _copied(found, stack.enter_context(tempfile.TemporaryFile()))
        except OSError as problem:
            name = "standard input" if file == "-" else sanitize(file)
            raise ConfigurationError(f"cannot read {name}: {problem.strerror or problem}") from None
        yield found


def _copied(source: BinaryIO, copy: BinaryIO) -> BinaryIO:
    while copy.tell() <= LARGEST_CAPTURE and (piece := source.read(_PIECE)):
        copy.write(piece)
    return copy


def _check(session: CommandContext, name: str, file: BinaryIO) -> None:
    """Read the file here first: raise for one that is not a capture, and name bad lines."""
    shown = sanitize(name)
    size = file.seek(0, os.SEEK_END)
    if size > LARGEST_CAPTURE:
        most = LARGEST_CAPTURE // (1024 * 1024)
        raise ConfigurationError(f"{shown} is larger than {most} MB", hint="split it")
    file.seek(0)
    good, bad, first = 0, 0, ""
    try:
        for number, line in numbered_lines(_pieces(file)):
            try:
                read_request(line)
                good += 1
            except InvalidLine as problem:
                bad += 1
                first = first or f"{shown}:{number}: {sanitize(problem)}"
    except UnusableCapture as problem:
        raise ConfigurationError(f"{shown}: {problem}") from None
    if not good:
        raise ConfigurationError(
            first or f"{shown} is empty",
            hint='a line is such as {"t": 0.5, "method": "GET", "url": "https://example.com/"}; '
            "`tm captures convert` makes captures of other files",
        )
    if bad:
        session.note(f"tm: {first}; lines left out: {bad:,} of {good + bad:,}")


def shown(terminal: Terminal, name: str, analysis: CaptureAnalysis) -> str:
    """The groups as a table with numbers, and what a profile of them does not send."""
    stats, groups = analysis.stats, analysis.groups
    seconds = format_duration(stats.duration_seconds or 0.0)
    kinds = "1 kind" if len(groups) == 1 else f"{len(groups):,} kinds"
    total = stats.total_requests or 0
    requests = "1 request" if total == 1 else f"{total:,} requests"
    head = f"{sanitize(name)}: {requests} in {seconds}, of {kinds}"
    return "\n".join([head, _table(terminal, groups), *_remarks(groups)])


_TITLES = ("#", "METHOD", "URL", "REQUESTS", "PEAK/S", "VARIABLES")


def _table(terminal: Terminal, groups: Sequence[CaptureGroup]) -> str:
    """A table, or two lines for each group where the terminal is too narrow for it."""
    from tm_cli.render.tables import columns, listed, rate

    rows = [
        (
            str(number),
            group.method,
            group.url_skeleton,
            f"{group.row_count or 0:,}",
            rate(group.peak_qps),
            ", ".join(variable.name or "?" for variable in group.variables or ()),
        )
        for number, group in enumerate(groups, 1)
    ]
    widths = [max(map(len, cells)) + 2 for cells in zip(_TITLES, *rows, strict=True)]
    if not terminal.out_is_terminal or sum(widths) <= terminal.width:
        return columns(terminal, _TITLES, rows)
    blocks = [
        (number, f"{method} {url}", f"{count} requests, peak {peak}/s" + f": {names}" * bool(names))
        for number, method, url, count, peak, names in rows
    ]
    return listed(terminal, ("#", "KIND", "TRAFFIC"), blocks)


def _remarks(groups: Sequence[CaptureGroup]) -> Iterator[str]:
    """What profiles do not send, with the numbers of their groups."""
    found: dict[str, list[int]] = {}
    for number, group in enumerate(groups, 1):
        for warning in group.warnings:
            found.setdefault(sanitize(warning), []).append(number)
        if group.problem:
            found.setdefault(f"cannot be imported: {sanitize(group.problem)}", []).append(number)
    for text, numbers in found.items():
        yield f"{_ranges(numbers)}: {text}"


def _ranges(numbers: Sequence[int]) -> str:
    """`1-3, 5` for 1, 2, 3 and 5."""
    parts: list[list[int]] = []
    for number in numbers:
        if parts and number == parts[-1][-1] + 1:
            parts[-1].append(number)
        else:
            parts.append([number])
    return ", ".join(f"{p[0]}-{p[-1]}" if len(p) > 1 else str(p[0]) for p in parts)
