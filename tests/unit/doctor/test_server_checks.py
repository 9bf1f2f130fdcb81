"""Proxy, name, certificate, answer and clock of a server, on a network that a test makes up."""

import http.client
import socket
import ssl
from datetime import timedelta

import pytest

from tests.unit.doctor.fake_surroundings import NOON, FakeNetwork
from tm_cli.doctor.network import ProbeResult
from tm_cli.doctor.server import Place, check_server
from tm_cli.exit_codes import ExitCode
from tm_cli.values.check_result import Status

URL = "https://tm.example/"


def look(clock, network, *, url=URL, environ=None, tls=True):
    place = Place(url, ssl.create_default_context() if tls else None, environ or {})
    return {item.check: item for item in check_server(place, network, clock)}


def secure(**more):
    return ProbeResult(404, NOON, "TLSv1.3", NOON + timedelta(days=90), "Example CA", **more)


def test_a_healthy_server_passes_every_check(clock):
    found = look(clock, FakeNetwork(sight=secure()))
    assert {item.status for item in found.values()} == {Status.OK}
    assert "203.0.113.7" in found["DNS"].text
    assert "TLSv1.3, certificate from Example CA, valid until 2026-05-30 (90 days)" in (
        found["TLS"].text
    )
    assert "HTTP 404" in found["connection"].text


def test_a_name_without_address_is_told_with_its_reason(clock):
    broken = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    found = look(clock, FakeNetwork(addresses=broken, sight=broken))
    assert found["DNS"].code is ExitCode.UNAVAILABLE
    assert "tm.example has no address: Name or service not known" in found["DNS"].text
    assert found["connection"].status is Status.SKIPPED


@pytest.mark.parametrize(
    ("problem", "check", "words"),
    [
        (ConnectionRefusedError(111, "Connection refused"), "connection", "Connection refused"),
        (TimeoutError("timed out"), "connection", "does not answer"),
        (http.client.BadStatusLine("SSH-2.0"), "connection", "does not answer in HTTP"),
        (ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong"), "TLS", "does not speak TLS"),
        (OSError("Tunnel connection failed: 407 no"), "connection", "407"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_breaks_the_connection_is_told_with_a_fix(clock, problem, check, words):
    found = look(clock, FakeNetwork(sight=problem))
    assert found[check].code is ExitCode.UNAVAILABLE
    assert words in found[check].text
    assert found[check].fix
    assert found["clock"].status is Status.SKIPPED


def test_an_untrusted_certificate_points_to_the_ca_file(clock):
    problem = ssl.SSLCertVerificationError(1, "failed")
    problem.verify_message = "self-signed certificate"
    found = look(clock, FakeNetwork(sight=problem))
    assert "not trusted: self-signed certificate" in found["TLS"].text
    assert "TM_CA_FILE" in found["TLS"].fix


def test_a_certificate_that_ends_soon_is_a_warning(clock):
    sight = ProbeResult(200, NOON, "TLSv1.3", NOON + timedelta(days=3, hours=1), None)
    found = look(clock, FakeNetwork(sight=sight))
    assert found["TLS"].status is Status.WARNING
    assert "(3 days)" in found["TLS"].text


def test_plain_http_has_no_certificate_to_check(clock):
    found = look(clock, FakeNetwork(), url="http://localhost:8092/", tls=False)
    assert found["TLS"].status is Status.SKIPPED


@pytest.mark.parametrize(
    ("off", "status", "words"),
    [
        (0, Status.OK, "agrees"),
        (-0.9, Status.OK, "agrees"),  # the header has whole seconds
        (4, Status.OK, "4 s off"),
        (60, Status.WARNING, "60 s behind the server"),
        (-61, Status.WARNING, "60 s ahead of the server"),
    ],
)
def test_clocks_may_differ_by_a_few_seconds(clock, off, status, words):
    found = look(clock, FakeNetwork(sight=ProbeResult(200, NOON + timedelta(seconds=off))))
    assert found["clock"].status is status
    assert words in found["clock"].text


def test_a_server_without_a_date_is_no_failure(clock):
    found = look(clock, FakeNetwork(sight=ProbeResult(200)))
    assert found["clock"].status is Status.SKIPPED


def test_a_proxy_resolves_the_name_and_hides_its_password(clock):
    network = FakeNetwork(sight=secure())
    environ = {"https_proxy": "http://ada:pa55word@proxy.example:3128"}
    found = look(clock, network, environ=environ)
    assert found["proxy"].text == "proxy.example:3128, because https_proxy says so"
    assert found["DNS"].status is Status.SKIPPED
    assert network.resolved == []
    assert network.routes[0].proxy == environ["https_proxy"]
    assert "pa55word" not in str([item.text + str(item.facts) for item in found.values()])


@pytest.mark.parametrize("value", ["http://", "http://host:notaport", "//"])
def test_a_proxy_without_a_host_is_a_bad_setting(clock, value):
    found = look(clock, FakeNetwork(sight=secure()), environ={"HTTPS_PROXY": value})
    assert found["proxy"].code is ExitCode.CONFIGURATION


def test_no_proxy_wins_over_a_proxy(clock):
    environ = {"HTTPS_PROXY": "http://proxy:1", "NO_PROXY": "10.0.0.0/8, .Example"}
    found = look(clock, FakeNetwork(sight=secure()), environ=environ)["proxy"]
    assert found.text == "none is used for this server, because of .Example in NO_PROXY"
    assert found.facts["exception"] == ".Example in NO_PROXY"


def test_a_socks_proxy_is_left_to_the_request_with_the_key(clock):
    network = FakeNetwork()
    found = look(clock, network, environ={"ALL_PROXY": "socks5://proxy:1080"})
    assert found["connection"].status is Status.SKIPPED
    assert network.routes == []
