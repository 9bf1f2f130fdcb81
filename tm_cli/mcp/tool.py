"""A tool: its description for the client, and what it does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from tm_cli.mcp.schema import Schema, input_schema
from tm_cli.mcp.session import CallSession

Perform = Callable[[CallSession, dict[str, Any]], int]
"""Does it with checked arguments, prints the JSON document and returns its exit code."""


class Effect(Enum):
    """What a call does to the world beyond."""

    READS = "reads"
    STARTS = "starts"
    ENDS = "ends"
    ADJUSTS = "adjusts"
    RESUMES = "resumes"


@dataclass(frozen=True, slots=True)
class Tool:
    """One tool; the result of a gate has the fields of the gate at its top, others have `data`."""

    name: str
    title: str
    description: str
    effect: Effect
    perform: Perform
    properties: Mapping[str, Schema]
    required: tuple[str, ...] = ()
    is_gate: bool = False

    @property
    def schema(self) -> Schema:
        """JSON Schema of the arguments."""
        return input_schema(self.properties, self.required)
