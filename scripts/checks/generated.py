"""Generated files, and versions written in several places, are what their scripts write."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stderr

import pins
import reference

Generator = Callable[[list[str]], int]
GENERATORS: tuple[Generator, ...] = (reference.main, pins.main)
"""What `make docs` runs to write; each names on standard error what is stale."""


def findings(generators: Sequence[Generator] = GENERATORS) -> Iterator[str]:
    """The files that are stale."""
    for generator in generators:
        with redirect_stderr(io.StringIO()) as messages:
            code = generator(["--check"])
        lines = messages.getvalue().splitlines()
        yield from lines or [f"{generator.__module__}.py ended with {code}"] * bool(code)
