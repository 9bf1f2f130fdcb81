"""The capture sources of this server: their listings, and their files as streams."""

from __future__ import annotations

import asyncio
import math
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import BinaryIO, Literal

from tm_cli.server.capture_sources.remote import (
    RemoteError,
    RemoteFile,
    SourceDefinition,
    is_capture,
)
from tm_cli.server.store.capture_sources import CaptureSourceStore, SourceRecord
from tm_cli.server.web.bodies import Refusal
from tm_cli.values.sliding_window import SlidingWindow

ReadOperation = Literal["analyse stream", "import stream"]
Operation = Literal["list files", ReadOperation]

MAX_FILE_BYTES = 120 * 1024 * 1024
_SECONDS: dict[Operation, float] = {"list files": 3.0, "analyse stream": 2.0, "import stream": 2.0}
"""Between two calls for the same source."""
_LISTING_TIMEOUT = 30.0
_READING_TIMEOUT = 300.0
_LONGEST_REASON = 300


class CaptureSources:
    """Made once per server, of the sources in its configuration."""

    def __init__(
        self,
        definitions: Sequence[SourceDefinition],
        store: CaptureSourceStore,
        monotonic: Callable[[], float],
        *,
        max_bytes: int = MAX_FILE_BYTES,
    ) -> None:
        self._definitions = {source.name: source for source in definitions}
        self._store = store
        self._monotonic = monotonic
        self._max_bytes = max_bytes
        self._windows: dict[tuple[int, Operation], SlidingWindow] = {}
        store.register((source.name, source.kind, source.root_path) for source in definitions)

    def all(self) -> list[tuple[SourceRecord, SourceDefinition]]:
        """The configured sources, ordered by name; no remote is contacted."""
        found = [
            (record, self._definitions[record.name])
            for record in self._store.all()
            if record.name in self._definitions
        ]
        return sorted(found, key=lambda pair: (pair[0].name.lower(), pair[0].name))

    async def files(self, source_id: int, limit: int) -> list[RemoteFile]:
        """The newest captures directly in the root of a source; raises `Refusal`."""
        source = self._source(source_id)
        self._limit(source_id, "list files")
        try:
            async with _time_limit(_LISTING_TIMEOUT):
                found = await source.files()
        except RemoteError as problem:
            raise self._refusal(source_id, "Failed to list files", problem) from None
        self._store.note(source_id, None)
        captures = [file for file in found if is_capture(file.path)]
        captures.sort(key=lambda file: (-file.modified_at.timestamp(), file.path))
        return captures[:limit]

    @asynccontextmanager
    async def open_capture(
        self, source_id: int, path: str, operation: ReadOperation
    ) -> AsyncIterator[BinaryIO]:
        """Open a file of a source as a temporary file, which is deleted in the end.

        Raises `Refusal`: unknown source, not a capture in its root, too often, too large, or
        nothing that can be read.
        """
        source = self._source(source_id)
        if not path.strip():
            raise Refusal("path: must not be blank")
        self._limit(source_id, operation)
        with tempfile.TemporaryFile() as file:
            try:
                async with _time_limit(_READING_TIMEOUT):
                    await self._copy(source, path, file)
            except RemoteError as problem:
                raise self._refusal(source_id, "Failed to open remote stream", problem) from None
            self._store.note(source_id, None)
            file.seek(0)
            yield file

    async def _copy(self, source: SourceDefinition, path: str, file: BinaryIO) -> None:
        if not is_capture(path):
            raise RemoteError("there is no such capture in the root of the source")
        size = 0
        async with aclosing(source.read(path)) as chunks:
            async for chunk in chunks:
                size += len(chunk)
                if size > self._max_bytes:
                    most = self._max_bytes // (1024 * 1024)
                    raise RemoteError(f"the file is longer than {most} MB")
                file.write(chunk)

    def _source(self, source_id: int) -> SourceDefinition:
        for record, source in self.all():
            if record.id == source_id:
                return source
        raise Refusal("Capture source not found")

    def _limit(self, source_id: int, operation: Operation) -> None:
        """Count a call, or refuse it; each operation of each source has a limit of its own."""
        window = self._windows.setdefault(
            (source_id, operation),
            SlidingWindow(1, self._monotonic, seconds=_SECONDS[operation]),
        )
        if delay := window.delay():
            seconds = math.ceil(delay)
            raise Refusal(
                f"Too many {operation} requests for this source; wait {seconds} s",
                status=429,
                headers={"Retry-After": str(seconds)},
            )
        window.count()

    def _refusal(self, source_id: int, what: str, problem: RemoteError) -> Refusal:
        reason = str(problem)[:_LONGEST_REASON]
        self._store.note(source_id, reason)
        return Refusal(f"{what}: {reason}")


@asynccontextmanager
async def _time_limit(seconds: float) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise RemoteError(f"no complete answer in {seconds:g} s") from None
