"""What a worker has told its master, kept until the master has it: Locust acknowledges nothing."""

import json
from collections.abc import Callable, Iterator
from typing import Any

Line = tuple[int, str]
"""Number and text; numbers grow."""
Message = dict[str, Any]
"""Some `lines`, and the number of the `oldest` that may come again."""

_CUMULATIVE = frozenset({"progress", "bucket", "steps", "scripts", "addresses", "transfers"})
_MESSAGE = 1024 * 1024  # characters


class Outbox:
    """Takes the events of a load test; `on_news` is called for each."""

    def __init__(self, on_news: Callable[[], None]) -> None:
        self._on_news = on_news
        self._number = 0
        self._lines: dict[int, str] = {}
        self._newest: dict[tuple[object, ...], int] = {}

    def write(self, event: str, **fields: Any) -> None:
        self._number += 1
        if event in _CUMULATIVE:  # the new one says all that the old one did
            steps = fields.get("steps", ())
            key = event, fields.get("index"), fields.get("side"), *sorted(steps)
            self._lines.pop(self._newest.get(key, 0), None)
            self._newest[key] = self._number
        self._lines[self._number] = json.dumps({"event": event, **fields}, allow_nan=False)
        self._on_news()

    def seen(self, numbers: list[int]) -> None:
        for number in numbers:
            self._lines.pop(number, None)
        self._newest = {key: kept for key, kept in self._newest.items() if kept in self._lines}

    @property
    def is_empty(self) -> bool:
        return not self._lines

    def messages(self) -> Iterator[Message]:
        """All that the master may not have yet, in order, in messages of a bounded size."""
        oldest = next(iter(self._lines), 0)
        lines: list[Line] = []
        size = 0
        for line in self._lines.items():
            if lines and size + len(line[1]) > _MESSAGE:
                yield {"oldest": oldest, "lines": lines}
                lines, size = [], 0
            lines.append(line)
            size += len(line[1])
        if lines:
            yield {"oldest": oldest, "lines": lines}


class Inbox:
    """The other end: what has come from one worker already."""

    def __init__(self) -> None:
        self._seen: set[int] = set()

    def news(self, message: Message) -> list[str]:
        """The lines that are new; raises ValueError or TypeError for what is no message."""
        lines = {int(number): str(line) for number, line in message["lines"]}
        fresh = {number: line for number, line in lines.items() if number not in self._seen}
        self._seen.update(fresh)
        self._seen = {number for number in self._seen if number >= message["oldest"]}
        return list(fresh.values())
