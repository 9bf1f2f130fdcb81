"""A network and a machine as a test wants them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

from tm_cli.doctor.network import ProbeResult, Route

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@dataclass
class FakeNetwork:
    """Resolves and shows what it was given; an exception is raised."""

    addresses: list[str] | Exception = field(default_factory=lambda: ["203.0.113.7"])
    sight: ProbeResult | Exception = field(default_factory=lambda: ProbeResult(404, NOON))
    routes: list[Route] = field(default_factory=list)
    resolved: list[tuple[str, int]] = field(default_factory=list)

    def resolve(self, host, port):
        self.resolved.append((host, port))
        return _given(self.addresses)

    def probe(self, route):
        self.routes.append(route)
        return _given(self.sight)


@dataclass
class FakeMachine:
    """A machine on which everything is fine unless a test says otherwise."""

    found_extras: dict[str, list[str]] = field(default_factory=lambda: {"local": []})
    problem: str | None = None
    free: int | None = 50 * 1024**3
    files: int | None = 4096
    cpu_count: int = 4

    def extras(self):
        return self.found_extras

    def problem_of(self, directory):
        return self.problem

    def free_disk(self, directory):
        return self.free

    def most_files(self):
        return self.files

    def cpus(self):
        return self.cpu_count

    def software(self):
        return "CPython 3.13.0 on Linux"


def _given(value):
    if isinstance(value, Exception):
        raise value
    return value
