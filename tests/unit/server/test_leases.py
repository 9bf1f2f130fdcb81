import threading
import time
from contextlib import contextmanager

import pytest

from tests.unit.server.running_server import Api
from tm_cli.server.web.services import UnusedRule


@pytest.mark.parametrize(
    ("looks", "exits"),
    [
        pytest.param([(0, False, False), (29.9, False, False)], False, id="never-used-waits"),
        pytest.param([(0, False, False), (30.0, False, False)], True, id="never-used-gives-up"),
        pytest.param([(5, True, True), (6, False, True), (6.4, False, True)], False, id="grace"),
        pytest.param([(5, True, True), (6, False, True), (6.5, False, True)], True, id="unused"),
        pytest.param([(5, True, True), (6, False, True), (6.4, True, True), (7, False, True)],
                     False, id="used-again"),
        pytest.param([(0, True, False), (99, True, False)], False, id="a-run-is-use"),
        pytest.param([(0, True, False), (9, False, False), (38, False, False)], False,
                     id="after-a-run-without-lease"),
    ],
)  # fmt: skip
def test_the_unused_rule(looks, exits):
    rule = UnusedRule(0.0)
    answers = [rule.should_exit(now, in_use=use, ever_used=ever) for now, use, ever in looks]
    assert answers[-1] is exits
    assert not any(answers[:-1])


@contextmanager
def lease(client):
    """Hold a lease that the server has confirmed; yields the bytes to come."""
    with client.stream("GET", "/tm/lease") as answer:
        beats = answer.iter_bytes()  # dropping the iterator would close the answer
        assert next(beats) == b"\n"
        yield beats


def test_the_server_leaves_soon_after_the_last_lease(start_server):
    server = start_server(exit_when_unused=True)
    with server.client() as client, lease(client):
        with lease(client):
            pass
        time.sleep(0.8)  # more than the grace: a lease is still held
        assert client.get("/api/v1/profiles").status_code == 200
    closed = time.monotonic()
    server.join()
    assert 0.4 < time.monotonic() - closed < 3.0


@pytest.mark.process
def test_a_run_outlives_its_lease(start_server):
    server = start_server(exit_when_unused=True)
    with server.client() as client:
        api = Api(client)
        profile_id = api.save(script="mode=hold")
        with lease(client):
            api.start(profile_id)
        time.sleep(0.8)  # more than the grace: a run is going on
        api.post(f"/profiles/{profile_id}/stop")
    server.join()


def test_leases_end_with_the_server(server):
    taken, ended = threading.Event(), threading.Event()

    def hold():
        with server.client() as client, lease(client) as beats:
            taken.set()
            assert not b"".join(beats).strip()
        ended.set()

    holder = threading.Thread(target=hold, daemon=True)
    holder.start()
    assert taken.wait(10)
    server.stop()
    assert ended.wait(10)
