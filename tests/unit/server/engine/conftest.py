from collections.abc import Iterator

import pytest

from tests.unit.server.engine.engine_process import RequestTarget


@pytest.fixture(scope="module")
def server() -> Iterator[RequestTarget]:
    with RequestTarget() as target:
        yield target


@pytest.fixture
def target(server: RequestTarget) -> RequestTarget:
    server.requests.clear()
    server.heads.clear()
    server.bodies.clear()
    server.connections = 0
    server.first_at = None
    return server
