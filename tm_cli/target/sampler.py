"""Threads that take samples about once a second; what they cannot read neither breaks nor delays
the gate.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from tm_cli.api.prometheus import PrometheusQuery, QueryFailed
from tm_cli.gate.target_metrics import UNITS
from tm_cli.target.process_usage import Usage
from tm_cli.target.recording import Recording

EVERY = 1.0
"""Seconds."""


class Sampler:
    """Samples of the service's processes and of queries, until it is stopped."""

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self._is_over = threading.Event()

    def start(self, usage: Usage | None, queries: Sequence[PrometheusQuery]) -> None:
        if usage is not None:
            self._repeat(lambda: self._read_usage(usage))
        for query in queries:
            self._repeat(lambda query=query: self._ask(query))  # type: ignore[misc]

    def stop(self) -> None:
        self._is_over.set()

    def _repeat(self, sample: Callable[[], None]) -> None:
        def run() -> None:
            due = time.monotonic()
            while not self._is_over.is_set():
                sample()
                due = max(due + EVERY, time.monotonic())
                self._is_over.wait(due - time.monotonic())

        threading.Thread(target=run, daemon=True).start()

    def _read_usage(self, usage: Usage) -> None:
        try:
            found = usage.read()
        except (OSError, ValueError, IndexError) as problem:  # /proc, while a process ends
            self.recording.note_problem("target", type(problem).__name__)
            return
        at = time.monotonic()
        for name, value in found.items():
            self.recording.take(name, UNITS[name], at, value)

    def _ask(self, query: PrometheusQuery) -> None:
        try:
            value = query.read()
        except QueryFailed as problem:
            self.recording.note_problem(query.name, str(problem))
        except Exception as problem:  # whatever a library raises for a hostile answer
            self.recording.note_problem(query.name, type(problem).__name__)
        else:
            self.recording.take(query.name, "", time.monotonic(), value)
