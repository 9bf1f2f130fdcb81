import asyncio
import re
import ssl
from contextlib import asynccontextmanager

import dns.rcode
import pytest
import trustme

from tests.unit.server.domains.name_server import name_server
from tm_cli.server.domains import verification
from tm_cli.server.domains.verification import DomainVerifier
from tm_cli.server.targets import TargetRule
from tm_cli.server.web.bodies import Refusal

TOKEN = "tm-verify-0123456789abcdef"
NAME = "_trafficmorph-verify.shop.test"
OTHERS = [f'"other {n}"' for n in range(7)]


def rule(*addresses):
    async def resolve(host, port):
        if not addresses:
            raise OSError("Name or service not known")
        return list(addresses)

    return TargetRule(resolve=resolve)


def looked_up(zone, rcode=None, domain="shop.test"):
    async def run():
        async with name_server(zone, rcode) as server:
            verifier = DomainVerifier(rule(), dns_server=server)
            await verifier.verify(domain, TOKEN, "DNS")

    asyncio.run(run())


@pytest.mark.parametrize(
    "zone",
    [
        {NAME: ("TXT", [f'"{TOKEN}"'])},
        {NAME: ("TXT", [f'" {TOKEN} "'])},
        {NAME: ("TXT", ['"v=spf1 -all"', f'"{TOKEN}"'])},
        {NAME: ("TXT", [f'"{TOKEN[:10]}" "{TOKEN[10:]}"'])},
        {NAME: ("CNAME", ["verify.dns.test."]), "verify.dns.test": ("TXT", [f'"{TOKEN}"'])},
    ],
    ids=["plain", "blanks", "several", "in parts", "by another name"],
)
def test_the_token_is_found_in_any_txt_record_of_the_name(zone):
    looked_up(zone)


@pytest.mark.parametrize(
    ("zone", "rcode", "found"),
    [
        ({}, None, "there is no TXT record"),
        ({NAME: ("A", ["10.0.0.1"])}, None, "there is no TXT record"),
        ({NAME: ("TXT", ['"other"', '"tm-verify-0"'])}, None, "found 'other', 'tm-verify-0'"),
        ({NAME: ("TXT", OTHERS)}, None, "'other 4' and 2 more"),
        ({NAME: ("TXT", [f'"{TOKEN}" "x"'])}, None, f"found '{TOKEN}x'"),
        ({}, dns.rcode.SERVFAIL, "the lookup has failed: .*SERVFAIL"),
    ],
)
def test_a_miss_tells_what_was_expected_and_what_was_found(zone, rcode, found):
    with pytest.raises(
        Refusal, match=f"Expected a TXT record {NAME} with the value {TOKEN}; .*{found}"
    ):
        looked_up(zone, rcode)


def test_a_name_server_without_answer_is_given_up(monkeypatch):
    monkeypatch.setattr(verification, "_TIMEOUT", 0.05)

    async def run():
        async with name_server({}) as server:
            silent = (server[0], server[1])
        verifier = DomainVerifier(rule(), dns_server=silent)
        await verifier.verify("shop.test", TOKEN, "DNS")

    with pytest.raises(Refusal, match=r"the lookup has failed: .*lifetime"):
        asyncio.run(run())


def test_an_address_has_no_record_to_look_for():
    with pytest.raises(Refusal, match="verify it by HTTP"):
        looked_up({}, domain="10.0.0.1")


def answer(body=TOKEN, status="200 OK", head=""):
    return f"HTTP/1.1 {status}\r\n{head}Content-Length: {len(body)}\r\n\r\n{body}".encode()


@asynccontextmanager
async def web_server(content, tls=None):
    """Answer every request with these bytes; yield the port and the requests."""
    requests = []

    async def serve(reader, writer):
        try:
            requests.append((await reader.readuntil(b"\r\n\r\n")).decode())
            writer.write(content)
            await writer.drain()
            if content:
                writer.close()
            else:
                await reader.read()  # until the client gives up
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    async with server:
        yield server.sockets[0].getsockname()[1], requests


def fetched(content, *, domain="shop.test", addresses=("127.0.0.1",), **options):
    """Verify against a web server without TLS; return the requests."""

    async def run():
        async with web_server(content) as (port, requests):
            verifier = DomainVerifier(rule(*addresses), web_ports=(("http", port),), **options)
            await verifier.verify(domain, TOKEN, "HTTP")
            return requests

    return asyncio.run(run())


@pytest.mark.parametrize(
    "content",
    [
        answer(),
        answer(f"\r\n {TOKEN}\n"),
        answer("\ufeff" + TOKEN, head="X: y\r\n").replace(b"Content-Length: 27\r\n", b""),
        b"HTTP/1.0 200 OK\r\n\r\n" + TOKEN.encode(),
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + answer(),
    ],
    ids=["plain", "blanks", "byte order mark", "HTTP/1.0", "interim"],
)
def test_the_token_is_found_in_the_file(content):
    [request] = fetched(content)
    assert request.startswith("GET /.well-known/trafficmorph-verify.txt HTTP/1.1\r\n")
    assert re.search(r"\r\nhost: shop\.test:\d+\r\n", request.lower())


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (answer("other"), "; found 'other'"),
        (answer(TOKEN + "x"), f"found '{TOKEN}x'"),
        (answer("x" * 3000), f"found '{'x' * 100}…'"),
        (answer("x" * 5000), "found more than 4096 bytes"),
        (answer("x" * 70_000, "404 Not Found"), "found status 404"),
        (
            answer(status="301 Moved", head="Location: https://www.shop.test/\r\n"),
            "found status 301 to 'https://www.shop.test/', which is not followed",
        ),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000, "the answer "),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 4000, "the answer is too long"),
        (b"SSH-2.0-OpenSSH\r\n", "the answer cannot be read"),
        (b"HTTP/1.1 100 Continue\r\n\r\n", "the connection was closed before the answer"),
        (answer()[:-3], "the answer cannot be read"),
    ],
)
def test_what_the_file_does_not_hold_is_a_miss(content, found):
    with pytest.raises(Refusal) as refused:
        fetched(content)
    expected = "https://shop.test/.well-known/trafficmorph-verify.txt"
    assert f"Expected the text {TOKEN} at {expected}; " in refused.value.message
    assert found in refused.value.message


def test_a_web_server_without_answer_is_given_up(monkeypatch):
    monkeypatch.setattr(verification, "_TIMEOUT", 0.05)
    with pytest.raises(Refusal, match=r"; no complete answer within 0.05 s"):
        fetched(b"")


@pytest.mark.parametrize(
    ("addresses", "reason"),
    [
        (["169.254.169.254"], "link-local"),
        (["127.0.0.1", "169.254.169.254"], "link-local"),
        (["8.8.8.8"], "TM_ALLOW_PUBLIC_TARGETS=true would permit it"),
        ([], "does not resolve"),
    ],
)
def test_only_addresses_that_may_be_loaded_are_asked(addresses, reason):
    with pytest.raises(Refusal, match=reason):
        fetched(answer(), addresses=addresses)


def test_the_next_address_is_asked_when_one_refuses():
    fetched(answer(), addresses=["::1", "127.0.0.1"])


def test_https_is_asked_first_and_its_certificate_is_checked(tmp_path):
    authority, stranger = trustme.CA(), trustme.CA()
    trusted = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(trusted)

    async def run(issuer, name, secure, plain):
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        issuer.issue_cert(name).configure_cert(tls)
        async with (
            web_server(answer(secure), tls) as (https, _),
            web_server(answer(plain)) as (http, requests),
        ):
            ports = (("http", http), ("https", https))
            verifier = DomainVerifier(rule("127.0.0.1"), str(trusted), web_ports=ports)
            await verifier.verify("shop.test", TOKEN, "HTTP")
            return len(requests)

    assert asyncio.run(run(authority, "shop.test", TOKEN, "no")) == 0
    assert asyncio.run(run(authority, "shop.test", "no", TOKEN)) == 1
    assert asyncio.run(run(stranger, "shop.test", TOKEN, TOKEN)) == 1
    with pytest.raises(Refusal, match=r"https: .*certificate.*, http: found 'no'"):
        asyncio.run(run(authority, "other.test", TOKEN, "no"))
