"""Completion of command lines for bash, zsh, fish and PowerShell.

The scripts pass the words typed so far to `tm completion` and offer what it prints. They never
evaluate text that comes from a server.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Candidate:
    """A word to insert at the cursor, and a short description."""

    value: str
    note: str = ""
