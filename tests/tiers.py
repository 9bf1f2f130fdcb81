"""Three tiers of tests by marker, and a guard that keeps the first one honest.

`process` is for tests that start programs, `volume` for the fault engine at size; everything else
is `unit` and starts no process. Long ones run first, so that none is left alone at the end.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

ORDER = ("volume", "process", "unit")
STARTS = {"subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.exec"}
"""Audit events of a process that starts."""


def tier_of(item: pytest.Item) -> str:
    """The heaviest tier that an item is marked with."""
    return next((name for name in ORDER if item.get_closest_marker(name)), "unit")


class Tiers:
    """A plugin: marks, orders and guards the items of a run."""

    def __init__(self) -> None:
        self._unit: str | None = None
        self._started: list[str] = []
        sys.addaudithook(self._hear)

    @pytest.hookimpl(tryfirst=True)  # before `-m` chooses
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for item in items:
            if tier_of(item) == "unit":
                item.add_marker("unit")
        tiers = {item.path: ORDER.index(tier_of(item)) for item in reversed(items)}
        items.sort(key=lambda item: tiers[item.path])  # a file stays together

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Iterator[None]:
        yield from self._guarded(item)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Iterator[None]:
        yield from self._guarded(item)

    def _guarded(self, item: pytest.Item) -> Iterator[None]:
        self._unit = item.nodeid if tier_of(item) == "unit" else None
        try:
            yield
        finally:
            self._unit = None
            started, self._started = self._started, []
            assert not started, f"a unit test starts {started}; mark it with `process`"

    def _hear(self, event: str, arguments: tuple[object, ...]) -> None:
        if event in STARTS and self._unit is not None:
            self._started.append(f"{event} {arguments[:2]}"[:200])
