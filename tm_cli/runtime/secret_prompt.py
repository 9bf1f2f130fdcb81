"""A secret from a person or a pipe; it is never echoed, and never an argument."""

from __future__ import annotations

import sys

from tm_cli.errors import UsageError
from tm_cli.runtime.standard_streams import read_some

LONGEST = 64 * 1024
"""Bytes; whatever is longer is not a key but a file piped by mistake."""


def read_secret(prompt: str) -> str:
    """Return what a person enters at the prompt, else all of standard input, as one line.

    Raises UsageError when nothing can be read, and when the terminal would show what is entered.
    """
    if sys.stdin is None:
        raise UsageError("cannot read the key: standard input is closed")
    if sys.stdin.isatty():
        return _ask(prompt)
    try:
        content = _read_all(sys.stdin.fileno())
    except OSError as problem:
        raise UsageError(
            f"cannot read the key from standard input: {problem.strerror}",
            hint="pipe it: tm auth login < FILE",
        ) from None
    if len(content) > LONGEST:
        raise UsageError("standard input is too long to be an API key")
    text = content.decode("utf-8-sig", "surrogateescape")  # PowerShell writes a byte order mark
    return text.removesuffix("\n").removesuffix("\r")


def _read_all(descriptor: int) -> bytes:
    """Read to the end, or until it is too much for a key."""
    content = b""
    while len(content) <= LONGEST and (piece := read_some(descriptor, LONGEST)):
        content += piece
    return content


def _ask(prompt: str) -> str:
    import getpass
    import warnings

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", getpass.GetPassWarning)
            return getpass.getpass(prompt)
    except (EOFError, OSError):  # the end of what is typed, or of the terminal
        raise UsageError("no key was entered") from None
    except getpass.GetPassWarning:
        raise UsageError(
            "this terminal would show the key", hint="pipe it: tm auth login < FILE"
        ) from None
