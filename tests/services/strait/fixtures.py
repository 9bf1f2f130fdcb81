"""`tm jobs` against a faithful server: its clock is that of the test."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from tests.services.strait.api import KEY, Api
from tests.services.strait.server import StraitServer
from tests.services.strait.world import Course, World


@dataclass
class Strait:
    """The server and what is so on it."""

    server: StraitServer
    api: Api
    world: World

    @property
    def environ(self) -> dict[str, str]:
        return {"STRAIT_BASE_URL": self.server.url, "STRAIT_API_KEY": KEY}

    def job(self, slug: str = "export", **changes: Any) -> dict[str, Any]:
        """Add a job; times and ends of its runs are those of a Course."""
        names = Course.__dataclass_fields__
        course = {name: changes.pop(name) for name in list(changes) if name in names}
        return self.world.add_job(slug, Course(**course), **changes)

    def sent(self, method: str, template: str) -> int:
        """How many requests went to an endpoint."""
        from tests.services.strait.api import route_of

        wanted = f"{method} {template}"
        return sum(route_of(item.method, item.path) == wanted for item in self.api.log)


@contextmanager
def serve(clock: Any, kind: type[Api] = Api) -> Iterator[Strait]:
    """A server with nothing on it; `kind` is how it speaks."""
    world = World(clock.now)
    api = kind(world)
    server = StraitServer(api)
    yield Strait(server, api, world)
    server.close()


@pytest.fixture
def strait(clock) -> Iterator[Strait]:
    with serve(clock) as found:
        yield found


@pytest.fixture
def jobs(tm, strait) -> Callable[..., Any]:
    """Run `tm jobs ...` against the server."""

    tokens = (f"token-{number}" for number in itertools.count())

    def run(*argv: str, **options: Any) -> Any:
        environ = {**strait.environ, **options.pop("environ", {})}
        return tm("jobs", *argv, environ=environ, make_token=lambda: next(tokens), **options)

    return run
