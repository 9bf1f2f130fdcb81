"""The protocol between server and agent: lines of several engines over one connection.

A frame names its run and carries one of: a line of the engine's protocol, from or to the engine; an
`order` of the server to the agent; the end `over` of an engine. An empty
object is a heartbeat.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

PATH = "tm/agent"
"""Where agents connect, below the server's address."""
MAX_FRAME = 8 * 1024 * 1024
"""The server's largest: a job may carry a mebibyte of request body, escaped twice."""
MAX_REPORT = 2 * 1024 * 1024
"""The agents' largest: a line with two full histograms has half as much."""
HEARTBEAT = "{}"

HANG_UP = "hang up"
KILL = "kill"


@dataclass(frozen=True, slots=True)
class Frame:
    """One message; `over` is the engine's last complaint, or empty."""

    run: str
    line: str | None = None
    order: str | None = None
    over: str | None = None

    def encode(self) -> str:
        return json.dumps(
            {name: value for name, value in asdict(self).items() if value is not None}
        )

    @classmethod
    def decode(cls, text: str) -> Frame | None:
        """Read a frame, None for a heartbeat; raises ValueError when it is invalid."""
        values = json.loads(text)
        if values == {}:
            return None
        known = isinstance(values, dict) and values.keys() <= {"run", "line", "order", "over"}
        if not known or not all(isinstance(value, str) for value in values.values()):
            raise ValueError("invalid frame")
        if "run" not in values or len(values) != 2:
            raise ValueError("invalid frame")
        for value in values.values():
            value.encode()  # a lone surrogate fails here
        return cls(**values)
