"""The server's log on standard error: agents that connect or disconnect, and problems."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

_EXPECTED = (
    # logged by uvicorn for every refused handshake
    "ASGI callable returned without completing handshake.",
    # ... and at every end while a client is connected
    "Cancel %s running task(s), timeout graceful shutdown exceeded",
)
_AT_ONCE = 5
_INTERVAL = 600.0
_MAX_LENGTH = 8000
_MAX_KINDS = 200
_BYTES_A_DAY = 1024 * 1024
_DAY = 86_400.0


def log_to_stderr() -> None:
    """Log warnings, and agents that connect or disconnect, unless logging is configured."""
    handler = logging.StreamHandler()
    handler.setFormatter(LimitedFormatter("tm: %(message)s"))
    handler.addFilter(RepeatFilter(time.monotonic))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("tm_cli.server.crew").setLevel(logging.INFO)
    logging.getLogger("uvicorn.error").addFilter(_is_unexpected)


def _is_unexpected(record: logging.LogRecord) -> bool:
    return record.msg not in _EXPECTED


class LimitedFormatter(logging.Formatter):
    """Cuts a message, its traceback included, that is too long to be read."""

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        return text if len(text) <= _MAX_LENGTH else text[:_MAX_LENGTH] + " ... (cut)"


@dataclass(slots=True)
class _Kind:
    """How often a message of one kind has come."""

    written: int = 0
    left_out: int = 0
    last: float = 0.0


class RepeatFilter(logging.Filter):
    """Lets the first few messages of a kind pass, then one every ten minutes with their number.

    Messages are of a kind when the same line of code writes them with the same first words. Only
    warnings are limited so: agents that connect or disconnect are always logged. Clients without
    the key can cause messages as often as they like, so all together they are also limited to a
    mebibyte a day.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        super().__init__()
        self._monotonic = monotonic
        self._kinds: dict[tuple[str, int, str], _Kind] = {}
        self._budget = float(_BYTES_A_DAY)
        self._refilled = monotonic()

    def filter(self, record: logging.LogRecord) -> bool:
        now = self._monotonic()
        kind = self._kind(record)
        is_repeated = record.levelno >= logging.WARNING and kind.written >= _AT_ONCE
        if is_repeated and now - kind.last < _INTERVAL:
            kind.left_out += 1
            return False
        if not self._pays(record, now):
            kind.left_out += 1
            return False
        if kind.left_out:
            record.msg = f"{record.getMessage()} (and {kind.left_out} more like this)"
            record.args = None
        kind.written, kind.left_out, kind.last = kind.written + 1, 0, now
        return True

    def _kind(self, record: logging.LogRecord) -> _Kind:
        first_line = str(record.msg).partition("\n")[0][:80]
        key = (record.pathname, record.lineno, first_line)
        if key not in self._kinds and len(self._kinds) >= _MAX_KINDS:
            key = ("", 0, "others")
        return self._kinds.setdefault(key, _Kind())

    def _pays(self, record: logging.LogRecord, now: float) -> bool:
        """Deduct the message's bytes from the daily budget; False if it is exhausted."""
        refill = (now - self._refilled) * _BYTES_A_DAY / _DAY
        self._budget = min(self._budget + refill, _BYTES_A_DAY)
        self._refilled = now
        size = len(record.getMessage()) + (_MAX_LENGTH if record.exc_info else 0)
        if size > self._budget:
            return False
        self._budget -= size
        return True
