"""The real look: over sockets of this machine, with TLS, and through a proxy."""

import http.client
import socket
import ssl
import threading
from datetime import UTC, datetime

import pytest
import trustme
from pytest_httpserver import HTTPServer

from tests.unit.runtime.announced import Stranger
from tm_cli.doctor.network import Route, SystemNetwork


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture
def secure_server(authority):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    with HTTPServer(ssl_context=context) as server:
        yield server


def trusting(authority):
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


def test_a_plain_server_shows_status_and_date_and_gets_no_key(httpserver):
    httpserver.expect_request("/mount/", method="HEAD").respond_with_data("", status=404)
    sight = SystemNetwork().probe(Route(httpserver.url_for("/mount/")))
    assert sight.status == 404
    assert abs((datetime.now(UTC) - sight.date).total_seconds()) < 60
    assert sight.tls is None
    request = httpserver.log[0][0]
    assert "X-Api-Key" not in request.headers
    assert "Authorization" not in request.headers


def test_a_trusted_certificate_is_read(secure_server, authority):
    secure_server.expect_request("/").respond_with_data("")
    sight = SystemNetwork().probe(Route(secure_server.url_for("/"), trust=trusting(authority)))
    assert sight.tls.startswith("TLSv1.")
    assert sight.expires > datetime(2026, 1, 1, tzinfo=UTC)
    assert "trustme" in sight.issuer


def test_an_unknown_authority_is_refused(secure_server):
    trust = ssl.create_default_context()
    with pytest.raises(ssl.SSLCertVerificationError, match="certificate verify failed"):
        SystemNetwork().probe(Route(secure_server.url_for("/"), trust=trust))


def test_a_server_without_tls_is_no_https_server(httpserver, authority):
    url = httpserver.url_for("/").replace("http:", "https:")
    with pytest.raises(ssl.SSLError):
        SystemNetwork().probe(Route(url, trust=trusting(authority)))


def test_a_plain_request_goes_through_the_proxy_with_its_password(httpserver):
    httpserver.expect_request("/").respond_with_data("")
    proxy = httpserver.url_for("").replace("http://", "http://ada:pw@")
    sight = SystemNetwork().probe(Route("http://tm.example/", proxy=proxy))
    assert sight.status == 200
    request = httpserver.log[0][0]
    assert request.headers["Host"] == "tm.example"
    assert request.headers["Proxy-Authorization"] == "Basic YWRhOnB3"


def test_a_proxy_that_builds_no_tunnel_is_an_error(httpserver, authority):
    httpserver.expect_request("/", method="CONNECT").respond_with_data("", status=407)
    with pytest.raises(OSError, match="Tunnel connection failed"):
        SystemNetwork().probe(
            Route("https://tm.example/", httpserver.url_for(""), trusting(authority))
        )


def test_names_resolve_once_each():
    assert SystemNetwork().resolve("127.0.0.1", 80) == ["127.0.0.1"]


@pytest.mark.parametrize(
    ("answer", "drip"),
    [
        (b"", b""),
        (b"HTTP/1.1 200 OK\r\n", b"X"),
        (b"HTTP/1.1 200 OK\r\n", b"A: b\r\n"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"),
    ],
    ids=["silence", "one-header", "headers", "continue", "early-hints"],
)
def test_a_server_that_never_ends_its_answer_does_not_hold_the_diagnosis_up(answer, drip):
    with (
        Stranger(answer, drip=drip) as server,
        pytest.raises((TimeoutError, http.client.HTTPException)),
    ):
        SystemNetwork(longest=0.3).probe(Route(server.url))
    assert server.heard[0].startswith(b"HEAD / HTTP/1.1")


def test_an_interim_answer_is_not_the_answer():
    answer = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n"
    with Stranger(answer) as server:
        assert SystemNetwork().probe(Route(server.url)).status == 204


def test_a_resolver_that_hangs_does_not_hold_the_diagnosis_up(monkeypatch):
    release = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: release.wait(30))
    with pytest.raises(TimeoutError, match=r"no complete answer in 0\.1 s"):
        SystemNetwork(longest=0.1).resolve("tm.example", 443)
    release.set()
