from collections.abc import Iterator

import pytest

from engine_process import Target


@pytest.fixture(scope="module")
def server() -> Iterator[Target]:
    with Target() as target:
        yield target


@pytest.fixture
def target(server: Target) -> Target:
    server.requests.clear()
    server.heads.clear()
    server.bodies.clear()
    server.connections = 0
    server.first_at = None
    return server
