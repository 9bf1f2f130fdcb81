"""Ends the load when the controlling process has fallen silent."""

from collections.abc import Callable, Iterator

_CHECKS = 10  # within the time that silence may last


class Watchdog:
    """Passes lines on and remembers when the last one came. Durations are seconds.

    A frozen process keeps its end of the pipe open, and the load would go on although its share
    has been given to others.
    """

    def __init__(self, lines: Iterator[bytes], monotonic: Callable[[], float]) -> None:
        self._lines = lines
        self._monotonic = monotonic
        self._last_line_at = monotonic()

    def lines(self) -> Iterator[bytes]:
        for line in self._lines:
            self._last_line_at = self._monotonic()
            yield line

    def watch(
        self, patience: float, on_timeout: Callable[[], None], sleep: Callable[[float], None]
    ) -> None:
        """Call `on_timeout` and return once no line has come for `patience` seconds."""
        while self._monotonic() - self._last_line_at <= patience:
            sleep(patience / _CHECKS)
        on_timeout()
