"""The edge to the network: TLS, proxies, sizes, and where the key goes. Real sockets."""

from __future__ import annotations

import http.server
import socket
import ssl
import threading

import httpx2
import pytest
import trustme

from tm_cli.api.errors import ConnectionFailed, InvalidResponse
from tm_cli.api.middleware import LARGEST_BODY, Exchange, KeyAuth
from tm_cli.api.transport import Connection, Transport, _proxy
from tm_cli.errors import ConfigurationError
from tm_cli.values.api_key import ApiKey

KEY = "tm_canary-0123456789"


class Server:
    """Answers every GET with `body` and remembers what it was asked."""

    def __init__(self, tls=None, body=b"[]", headers=()):
        self.asked = []
        seen = self.asked

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                seen.append((self.path, dict(self.headers)))
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                for name, value in headers:
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_arguments):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_error):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def connect(clock):
    transports = []

    def build(url, **options):
        settings = {"environ": {}, "timeout": 5.0, "clock": clock, **options}
        connection = Connection(base_url=url, key=ApiKey(KEY), **settings)
        transports.append(Transport(connection))
        return transports[-1]

    yield build
    for transport in transports:
        transport.close()


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture
def tls(authority):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    return context


def test_certificate_of_the_named_authority_is_trusted(connect, tls, authority, tmp_path):
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with Server(tls) as server:
        url = f"https://localhost:{server.port}/"
        assert connect(url, ca_file=str(tmp_path / "ca.pem")).get("x") == []
    assert server.asked[0][1]["X-Api-Key"] == KEY


def test_final_dot_of_a_name_is_not_looked_for_in_the_certificate(
    connect, tls, authority, tmp_path, monkeypatch
):
    lookup = socket.getaddrinfo
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda host, *rest, **more: lookup(host.rstrip("."), *rest, **more)
    )
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with Server(tls) as server:
        url = f"https://localhost.:{server.port}/"
        assert connect(url, ca_file=str(tmp_path / "ca.pem")).get("x") == []


def test_unknown_certificate_gets_no_request_and_no_key(connect, tls):
    with Server(tls) as server, pytest.raises(ConnectionFailed) as caught:
        connect(f"https://localhost:{server.port}/").get("x")
    assert caught.value.maybe_sent is False
    assert server.asked == []


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_unusable_certificate_file_is_a_configuration_error(connect, tmp_path, content):
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"ca\.pem"):
        connect("https://localhost:1/", ca_file=str(path))


def test_path_prefix_and_its_encoding_are_kept(connect):
    with Server() as server:
        connect(f"http://127.0.0.1:{server.port}/a%2Fb/").get("api/v1/profiles", {"q": "a+b c"})
    assert server.asked[0][0] == "/a%2Fb/api/v1/profiles?q=a%2Bb+c"


def test_endless_body_is_cut(connect):
    with Server(body=b" " * (LARGEST_BODY + 1)) as server, pytest.raises(InvalidResponse):
        connect(f"http://127.0.0.1:{server.port}/").get("x")


def test_exchange_names_no_query_and_no_key(connect):
    told: list[Exchange] = []
    with Server() as server:
        connect(f"http://127.0.0.1:{server.port}/", on_exchange=told.append).get(
            "x", {"t": "secret"}
        )
    assert [(item.method, item.outcome) for item in told] == [("GET", "200")]
    assert "secret" not in told[0].url
    assert KEY not in repr(told)


def test_representations_hide_the_key(connect):
    transport = connect("http://127.0.0.1:1/")
    assert KEY not in f"{vars(transport)!r} {transport._connection!r} {transport._client!r}"


@pytest.mark.parametrize(
    ("url", "environ", "proxy"),
    [
        ("https://tm.example/", {"HTTPS_PROXY": "http://p:1"}, "http://p:1"),
        ("https://tm.example/", {"https_proxy": "http://p:1"}, "http://p:1"),
        ("https://tm.example/", {"ALL_PROXY": "http://p:2"}, "http://p:2"),
        ("https://tm.example/", {"HTTP_PROXY": "http://p:1"}, None),
        ("https://tm.example/", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "tm.example"}, None),
        ("https://tm.example/", {"HTTPS_PROXY": "http://p:1", "no_proxy": "*"}, None),
        (
            "https://tm.example/",
            {"https_proxy": "http://p:2", "HTTPS_PROXY": "http://p:1"},
            "http://p:2",
        ),
        ("https://10.1.2.3/", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "10.0.0.0/8"}, None),
        ("https://tm.example/", {"HTTPS_PROXY": ""}, None),
        ("http://localhost:1/", {"HTTP_PROXY": "http://p:1", "ALL_PROXY": "http://p:1"}, None),
        ("http://127.0.0.1:1/", {"HTTP_PROXY": "http://p:1"}, None),
    ],
)
def test_proxy_comes_from_the_environment_and_never_for_this_machine(url, environ, proxy):
    found = _proxy(url, environ)
    assert (None if found is None else str(found.url)) == proxy


@pytest.mark.parametrize(
    "value", ["junk", "http://[bad", "socks9://h:1", "http://", "socks5://h:1"]
)
def test_malformed_proxy_is_a_configuration_error(connect, value):
    with pytest.raises(ConfigurationError, match="HTTPS_PROXY"):
        connect("https://tm.example/", environ={"HTTPS_PROXY": value})


def test_failure_behind_a_proxy_names_its_variable_and_no_password(connect):
    environ = {"HTTPS_PROXY": "http://ada:sekret@127.0.0.1:9"}
    with pytest.raises(ConnectionFailed) as failed:
        connect("https://tm.example/", environ=environ).get("profiles")
    assert "through the proxy of HTTPS_PROXY (127.0.0.1:9)" in str(failed.value)
    assert "sekret" not in str(failed.value)


class Answering(httpx2.BaseTransport):
    """In place of the sockets: answers with a body of pieces, and keeps the requests."""

    def __init__(self, *pieces):
        self.requests = []
        self._pieces = pieces

    def handle_request(self, request):
        self.requests.append(request)
        return httpx2.Response(
            200, headers={"Content-Type": "application/json"}, stream=Pieces(self._pieces)
        )


class Pieces(httpx2.SyncByteStream):
    def __init__(self, pieces):
        self._pieces = pieces

    def __iter__(self):
        for piece in self._pieces:
            if isinstance(piece, Exception):
                raise piece
            yield piece


def test_bug_of_tm_is_not_taken_for_a_broken_connection(connect):
    # What tm itself raises while the answer is read: here the length of a piece that has none.
    transport = connect("http://127.0.0.1:1/", transport=Answering(None))
    with pytest.raises(TypeError):
        transport.get("x")


@pytest.mark.parametrize("error", [RuntimeError("x"), KeyError("x"), ConnectionResetError("x")])
def test_what_the_library_raises_while_it_reads_is_a_broken_connection(connect, error):
    transport = connect("http://127.0.0.1:1/", transport=Answering(b"[", error))
    with pytest.raises(ConnectionFailed) as caught:
        transport.post("x")
    assert caught.value.maybe_sent


class Unreachable(httpx2.BaseTransport):
    """In place of the sockets: no connection is made in time."""

    def handle_request(self, request):
        self.limits = request.extensions["timeout"]
        raise httpx2.ConnectTimeout("x")


def test_what_may_take_long_waits_for_its_connection_like_any_request(connect):
    wire = Unreachable()
    with pytest.raises(ConnectionFailed, match="within 5s") as caught:
        connect("http://127.0.0.1:1/", transport=wire).send_once("POST", "x", seconds=600.0)
    assert (wire.limits["connect"], wire.limits["read"]) == (5.0, 600.0)
    assert not caught.value.maybe_sent


def test_key_goes_to_no_other_origin():
    auth = KeyAuth(ApiKey(KEY), "https://tm.example/", bearer=False)
    headers = {
        url: next(auth.auth_flow(httpx2.Request("GET", url))).headers
        for url in (
            "https://tm.example/a",
            "https://tm.example:443/a",
            "https://tm.example:444/a",
            "http://tm.example/a",
            "https://evil.example/a",
        )
    }
    assert [url for url, found in headers.items() if "X-Api-Key" in found] == [
        "https://tm.example/a",
        "https://tm.example:443/a",
    ]


def test_header_of_the_user_may_hold_any_text(connect):
    wire = Answering(b"[]")
    connect("http://127.0.0.1:1/", transport=wire).send_once(
        "POST", "x", headers={"Idempotency-Key": "größe-✓"}
    )
    assert (b"Idempotency-Key", "größe-✓".encode()) in wire.requests[0].headers.raw


def test_failed_exchange_is_reported_as_unanswered(connect):
    seen: list[Exchange] = []
    wire = Answering(b"[", ConnectionResetError("x"))
    with pytest.raises(ConnectionFailed):
        connect("http://127.0.0.1:1/", transport=wire, on_exchange=seen.append).get("x")
    assert [item.outcome for item in seen] == ["no answer"]
