"""A driver's command whose process is only played."""

from __future__ import annotations

from collections.abc import Callable


class PlayedDriver:
    """Ends after `seconds` with an exit code, or before when it is ended."""

    def __init__(self, now: Callable[[], float], seconds: float, exit_code: int) -> None:
        self._now = now
        self._ends_at = now() + seconds
        self._exit_code = exit_code

    def poll(self) -> int | None:
        return self._exit_code if self._now() >= self._ends_at else None

    def ask_to_end(self) -> None:
        self._stop()

    def end(self, _patience: float) -> None:
        self._stop()

    def _stop(self) -> None:
        if self.poll() is None:
            self._ends_at, self._exit_code = self._now(), -15
