"""Which announced server is believed, and what it must prove before it gets the key."""

from __future__ import annotations

import os
import socket
import subprocess
import time

import pytest
from werkzeug.wrappers import Response

from tests.services.trafficmorph import KEY
from tests.unit.runtime.announced import Stranger, announce, private, proof, proves_itself
from tm_cli.runtime.announcement import find_running, read_announcement

ENVIRON = {"PATH": os.environ["PATH"]}
POSIX = pytest.mark.skipif(os.name != "posix", reason="POSIX permissions")
ROOT = pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="needs root")
URL = "http://127.0.0.1:8092"


@pytest.fixture
def data(tmp_path):
    return tmp_path / ".tm"


def believed(data):
    return read_announcement(data, ENVIRON)


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [(URL, "127.0.0.1", 8092), ("http://[::1]:65535", "::1", 65535)],
)
def test_a_server_on_loopback_is_believed(data, url, host, port):
    found = believed(announce(data, url))
    assert (found.host, found.port, found.base_url) == (host, port, f"{url}/")
    assert found.key.reveal() == KEY.encode()
    assert KEY not in repr(found)


@pytest.mark.parametrize(
    "url",
    [
        "http://203.0.113.5:80",
        "https://127.0.0.1:8092",
        "http://127.0.0.1",
        "http://127.0.0.1:0",
        "http://127.0.0.1:65536",
        "http://127.0.0.1:08092",
        "http://127.0.0.1:8092/",
        "http://127.0.0.1:8092/api",
        "http://127.0.0.1:8092?x",
        "http://127.0.0.1:8092#x",
        "http://127.0.0.1:8092\n",
        " http://127.0.0.1:8092",
        "http://user@127.0.0.1:8092",
        "http://127.0.0.1:8092@203.0.113.5:80",
        "http://127.0.0.1:80:8092",
        "http://127.0.0.1:٨٠",
        "http://localhost:8092",
        "http://127.0.0.2:8092",
        "http://127.1:8092",
        "http://2130706433:8092",
        "http://0x7f.0.0.1:8092",
        "http://0.0.0.0:8092",
        "http://[::]:8092",
        "http://[::ffff:127.0.0.1]:8092",
        "http://[0:0:0:0:0:0:0:1]:8092",
        "http://[::1%lo]:8092",
        "HTTP://127.0.0.1:8092",
        "//127.0.0.1:8092",
        "",
        None,
        8092,
        [URL],
        {URL: 1},
    ],
)
def test_no_other_address_is(data, url):
    assert believed(announce(data, url)) is None


@pytest.mark.parametrize(
    "named",
    ["/proc/self/environ", "~/.npmrc", "api-key", "../.tm/../api-key", "", None, 7, ["x"]],
)
def test_a_key_file_elsewhere_is_not_believed(data, named):
    assert believed(announce(data, URL, api_key_file=named)) is None


def test_a_key_file_of_another_directory_is_not_believed(data, tmp_path):
    other = announce(tmp_path / "other", URL)
    assert believed(announce(data, URL, api_key_file=str(other / "api-key"))) is None


@POSIX
def test_a_directory_may_be_reached_by_a_link_above_it(data, tmp_path):
    announce(data, URL)
    (tmp_path / "link").symlink_to(tmp_path)
    assert believed(tmp_path / "link" / ".tm") is not None


@pytest.mark.parametrize("pid", [0, -1, "1", 1.0, True, None])
def test_what_is_no_process_is_not_believed(data, pid):
    assert believed(announce(data, URL, pid=pid)) is None


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "1", "null", "[" * 60_000, "{}" + " " * 70_000, "\xff", "9" * 5000]
)
def test_what_is_no_announcement_is_not_believed(data, text):
    announce(data, URL)
    private(data / "server.json", text)
    assert believed(data) is None


@pytest.mark.parametrize("key", ["", " ", "x" * 5000, "a\nb", "a\x00b"])
def test_what_is_no_key_is_not_believed(data, key):
    assert believed(announce(data, URL, key=key)) is None


@pytest.mark.parametrize("name", ["server.json", "api-key"])
@pytest.mark.parametrize("mode", [0o644, 0o640, 0o620, 0o604, 0o660, 0o666])
@POSIX
def test_a_file_that_others_may_read_or_write_is_not_believed(data, name, mode):
    announce(data, URL)
    (data / name).chmod(mode)
    assert believed(data) is None


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o1777, 0o720])
@POSIX
def test_nor_is_anything_where_others_may_write(data, mode):
    announce(data, URL)
    data.chmod(mode)
    assert believed(data) is None


@pytest.mark.parametrize("name", ["server.json", "api-key"])
@POSIX
def test_a_link_or_a_second_name_or_a_pipe_is_not_believed(data, tmp_path, name):
    announce(data, URL)
    moved = tmp_path / "elsewhere"
    (data / name).rename(moved)
    (data / name).symlink_to(moved)
    assert believed(data) is None
    (data / name).unlink()
    (data / name).hardlink_to(moved)
    assert believed(data) is None
    (data / name).unlink()
    os.mkfifo(data / name, 0o600)
    assert believed(data) is None


@pytest.mark.parametrize("name", ["server.json", "api-key"])
@ROOT
def test_a_file_of_another_user_is_not_believed(data, name):
    announce(data, URL)
    os.chown(data / name, 65534, -1)
    assert believed(data) is None
    assert read_announcement(data, {**ENVIRON, "TM_TRUSTED_OWNERS": "65534"}) is not None


@ROOT
def test_a_directory_of_another_user_is_not_believed(data):
    announce(data, URL)
    os.chown(data, 65534, -1)
    assert find_running(data, ENVIRON, 1.0) is None


@POSIX
def test_a_linked_directory_is_not_believed(data, tmp_path):
    with Stranger() as stranger:
        announce(tmp_path / "real", stranger.url, api_key_file=str(data / "api-key"))
        data.symlink_to(tmp_path / "real")
        assert find_running(data, ENVIRON, 1.0) is None
    assert stranger.heard == []


@pytest.mark.process
def test_files_of_a_repository_are_not_believed(data, tmp_path):
    with Stranger() as stranger:
        announce(data, stranger.url)
        for words in (["init", "--quiet"], ["add", "--force", "."]):
            subprocess.run(["git", *words], cwd=tmp_path, check=True)
        assert find_running(data, ENVIRON, 1.0) is None
    assert stranger.heard == []


# What listens at the port


OK = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s"
STRANGERS = {
    "closes": b"\n",
    "junk": b"\x00\xff" * 5000,
    "ssh": b"SSH-2.0-OpenSSH_9.2\r\n",
    "empty-200": OK % (0, b""),
    "no-length": b"HTTP/1.1 200 OK\r\n\r\n" + b"0" * 64,
    "some-hex": OK % (64, b"0" * 64),
    "long": OK % (9999, b"0" * 9999),
    "endless-length": b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
    "negative-length": b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
    "unauthorized": b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n",
    "redirect": b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n",
    "long-head": b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20_000,
}


@pytest.mark.parametrize("answer", STRANGERS.values(), ids=STRANGERS)
def test_a_stranger_at_the_port_is_no_server_and_hears_no_key(data, answer):
    with Stranger(answer) as stranger:
        assert find_running(announce(data, stranger.url), ENVIRON, 1.0) is None
    assert stranger.heard
    assert KEY.encode() not in stranger.all_heard


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"answer": b"HTTP/1.1 200 OK\r\n", "drip": b"x"},
        {"answer": b"HTTP/1.1 200 OK\r\n", "drip": b"X: y\r\n"},
        {"drip": b"HTTP/1.1 100 Continue\r\n\r\n"},
        {"answer": b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", "drip": b"0"},
    ],
    ids=["silence", "endless-line", "endless-head", "endless-100", "endless-body"],
)
def test_a_stranger_costs_a_bounded_time(data, how):
    with Stranger(**how) as stranger:
        announce(data, stranger.url)
        began = time.monotonic()
        assert find_running(data, ENVIRON, 0.3) is None
        assert time.monotonic() - began < 1.5
    assert KEY.encode() not in stranger.all_heard


def test_nobody_at_the_port_is_no_server(data):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert find_running(announce(data, f"http://127.0.0.1:{port}"), ENVIRON, 1.0) is None


@pytest.mark.parametrize(
    ("key", "host", "shift"),
    [("another", "127.0.0.1", 0), (KEY, "::1", 0), (KEY, "127.0.0.1", 1)],
    ids=["another-key", "another-address", "another-port"],
)
def test_only_the_key_at_this_very_port_is_a_proof(data, httpserver, key, host, shift):
    def answer(request):
        port = httpserver.port + shift
        return Response(proof(request.args["challenge"], port, key=key, host=host))

    httpserver.expect_request("/tm/identity").respond_with_handler(answer)
    announce(data, f"http://127.0.0.1:{httpserver.port}")
    assert find_running(data, ENVIRON, 2.0) is None
    assert httpserver.log
    assert all("X-Api-Key" not in request.headers for request, _ in httpserver.log)


def test_every_challenge_is_another(data, httpserver):
    announce(data, proves_itself(httpserver))
    for _ in range(2):
        assert find_running(data, ENVIRON, 2.0) is not None
    challenges = {request.args["challenge"] for request, _ in httpserver.log}
    assert len(challenges) == 2
