"""What a capture source is to the routes, whatever protocol it is reached by."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from tm_cli.values.text import sanitize

SUFFIXES = (".jsonl", ".ndjson")


class RemoteError(Exception):
    """Why a source cannot be listed or read, in words that hold no credentials."""


def reason_of(error: Exception) -> str:
    """What an error of the system or of a library says, in one line."""
    return sanitize(getattr(error, "strerror", None) or error, longest=200)


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file directly in the source's root; `size` in bytes, -1 where it is unknown."""

    path: str
    size: int
    modified_at: datetime


class SourceDefinition(Protocol):
    """A source of the configuration; both methods raise RemoteError."""

    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def root_path(self) -> str | None: ...

    async def files(self) -> list[RemoteFile]:
        """Return the files in the root, in any order; others than captures may be among them."""

    def read(self, name: str) -> AsyncGenerator[bytes, None]:
        """Read a file in the root."""


def is_capture(name: str) -> bool:
    """Whether this is the name of a capture directly in a root: no path, no dot file."""
    is_plain = not name.startswith(".") and "/" not in name and "\\" not in name
    return is_plain and name.isprintable() and name.lower().endswith(SUFFIXES)
