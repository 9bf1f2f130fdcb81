"""Servers for tests; how they are made is in running_server.py."""

import pytest

from tests.unit.server.counting_target import CountingTarget
from tests.unit.server.running_server import Api, RunningServer, serving


@pytest.fixture(scope="module")
def leaving():
    """Servers on their way out; nobody waits for one while there are tests to run."""
    servers = []
    yield servers
    for server in servers:
        server.join()


@pytest.fixture
def start_server(tmp_path, leaving):
    started = []

    def start(data_dir=tmp_path / "data", **options):
        server = RunningServer(data_dir, **options).start()
        started.append(server)
        return server

    yield start
    for server in started:
        server.ask_to_stop()
    leaving.extend(started)


@pytest.fixture
def server(start_server):
    return start_server()


@pytest.fixture
def client(server):
    with server.client() as client:
        yield client


@pytest.fixture
def api(client):
    return Api(client)


@pytest.fixture(scope="module")
def shared_api(tmp_path_factory):
    """One server for all the tests of a module that leave it as they find it."""
    with serving(tmp_path_factory.mktemp("shared") / "data") as api:
        yield api


@pytest.fixture
def target():
    with CountingTarget() as target:
        yield target
