"""How a server proves that it has the key: without being sent it, and for its own port alone."""

from __future__ import annotations

import os
import socket
import stat
import threading

import pytest

from tests.unit.runtime.announced import announce, proof
from tests.unit.server.running_server import RunningServer
from tm_cli.errors import ConfigurationError
from tm_cli.runtime.announcement import find_running

CHALLENGE = "0123456789abcdef" * 4
PATH = f"/tm/identity?challenge={CHALLENGE}"


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    server = RunningServer(tmp_path_factory.mktemp("identity") / "data", requests_per_minute=3)
    yield server.start()
    server.stop()


@pytest.fixture
def stranger(running):
    """A client that has no key."""
    with running.client() as client:
        del client.headers["X-Api-Key"]
        yield client


def port_of(server):
    return int(server.info.base_url.rsplit(":", 1)[1])


def test_the_proof_is_made_of_key_challenge_and_place(running, stranger):
    answer = stranger.get(PATH)
    assert answer.status_code == 200
    assert answer.text == proof(CHALLENGE, port_of(running), key=running.key)
    assert running.key not in answer.text
    assert answer.headers["cache-control"] == "no-store"


def test_no_number_of_questions_uses_up_the_requests_of_others(running, stranger):
    assert {stranger.get(PATH).status_code for _ in range(10)} == {200}
    with running.client() as client:
        assert client.get("/api/v1/profiles").status_code == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.test"}, 421),
        ({"Host": "127.0.0.1:1"}, 421),
        ({"Origin": "https://evil.test"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"X-Api-Key": "wrong"}, 200),
    ],
)
def test_web_pages_and_other_names_get_no_proof(stranger, headers, status):
    assert stranger.get(PATH, headers=headers).status_code == status


@pytest.mark.parametrize(
    "query",
    ["", "?challenge=", "?challenge=0", f"?challenge={CHALLENGE}0", f"?challenge={'A' * 64}",
     f"?challenge={'g' * 64}", f"?challenge={CHALLENGE}%0a", f"?challenge=tm%0a{CHALLENGE}"],
)  # fmt: skip
def test_nothing_but_a_challenge_is_answered(stranger, query):
    assert stranger.get(f"/tm/identity{query}").status_code == 400


@pytest.mark.parametrize("path", ["/tm/identity/", "/tm/identity/x", "/api/v1/../tm/identity", "/"])
def test_every_other_path_needs_the_key(stranger, path):
    assert stranger.get(path).status_code == 401


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "HEAD", "OPTIONS"])
def test_so_does_every_other_method(stranger, method):
    assert stranger.request(method, PATH).status_code == 401


class Relay:
    """A program at another port that passes everything on to the server, and the answers back."""

    def __init__(self, port):
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.passed_on = []

    def __enter__(self):
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_error):
        self._listener.close()

    def _serve(self):
        client, _ = self._listener.accept()
        with client, socket.create_connection(("127.0.0.1", self._target), timeout=5) as server:
            asked = client.recv(65536)
            self.passed_on.append(asked)
            server.sendall(asked.replace(str(self.port).encode(), str(self._target).encode()))
            client.sendall(server.recv(65536))


def test_a_relay_at_another_port_does_not_pass_for_the_server(running, tmp_path):
    with Relay(port_of(running)) as relay:
        data = announce(tmp_path / "data", f"http://127.0.0.1:{relay.port}", key=running.key)
        assert find_running(data, os.environ, 2.0) is None
    assert relay.passed_on
    assert running.key.encode() not in b"".join(relay.passed_on)


def test_a_running_server_is_found_by_what_it_has_announced(running):
    found = find_running(running.options.data_dir, os.environ, 2.0)
    assert (found.port, found.pid) == (port_of(running), os.getpid())
    assert found.key.reveal().decode() == running.key


def test_a_server_on_the_other_loopback_is_found_too(start_server):
    server = start_server(host="::1")
    found = find_running(server.options.data_dir, os.environ, 2.0)
    assert found is not None
    assert found.host == "::1"


def test_a_second_server_is_refused_when_the_lock_of_the_first_was_deleted(start_server):
    first = start_server()
    data = first.options.data_dir
    (data / "server.lock").unlink()
    with pytest.raises(ConfigurationError, match="is in use by the server at"):
        RunningServer(data).start()
    assert find_running(data, os.environ, 2.0) is not None


@pytest.mark.skipif(os.name != "posix", reason="Windows deletes no open file")
@pytest.mark.parametrize("names", [("server.lock", "server.json"), ("server.lock", "api-key")])
def test_a_second_server_is_refused_when_the_first_can_no_longer_be_found(start_server, names):
    first = start_server()
    data = first.options.data_dir
    for name in names:
        (data / name).unlink()
    with pytest.raises(ConfigurationError, match="is in use by another server"):
        RunningServer(data).start()
    first.stop()
    assert start_server().key.startswith("tm_")


@pytest.mark.skipif(os.name != "posix", reason="POSIX permissions")
@pytest.mark.parametrize("mode", [0o777, 0o755, 0o1777, 0o770])
def test_a_directory_of_ours_is_closed_to_others(start_server, mode):
    first = start_server()
    data, key = first.options.data_dir, first.key
    first.stop()
    data.chmod(mode)
    (data / "tm.db").chmod(0o666)
    again = start_server()
    assert again.key == key
    assert stat.S_IMODE(data.stat().st_mode) == 0o700
    assert stat.S_IMODE((data / "tm.db").stat().st_mode) == 0o600
