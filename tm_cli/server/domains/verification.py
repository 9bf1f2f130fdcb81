"""Whether the owner of a domain has put its token where only the owner can: in DNS, or in a file.

Nothing is followed: no redirect, and no second resolution. Connections go to the addresses that
were judged.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import Literal

import certifi
import h11

from tm_cli.server.domains.rule import is_address
from tm_cli.server.targets import TargetRule
from tm_cli.server.web.bodies import Refusal
from tm_cli.values.urls import DEFAULT_PORTS

Method = Literal["DNS", "HTTP"]

PATH = "/.well-known/trafficmorph-verify.txt"
_TIMEOUT = 10.0  # for an answer from DNS, or over one of https and http
_CONNECT_TIMEOUT = 4.0  # to one of the addresses
_LONGEST_HEAD = 16 * 1024
_LONGEST_BODY = 4096
_LONGEST_SHOWN = 100
_MOST_SHOWN = 5
_OK = 200


class Missed(Exception):
    """What was found instead of the token."""


def txt_name(domain: str) -> str:
    return f"_trafficmorph-verify.{domain}"


def file_url(domain: str, scheme: str = "https") -> str:
    host = f"[{domain}]" if ":" in domain else domain
    return f"{scheme}://{host}{PATH}"


def dns_instruction(domain: str, token: str) -> str:
    if is_address(domain):
        return f"{domain} is an address, which has no TXT record of its own: serve the file instead"
    return f"Add a TXT record with the name {txt_name(domain)} and the value {token}"


def http_instruction(domain: str, token: str) -> str:
    return f"Serve a text file with the content {token} at {file_url(domain)} (or over http)"


@dataclass(frozen=True, slots=True)
class DomainVerifier:
    """Looks for tokens; `targets` says which addresses may be asked.

    `dns_server` is asked instead of the system's; `web_ports` are those of the schemes.
    """

    targets: TargetRule
    ca_file: str | None = None
    dns_server: tuple[str, int] | None = None
    web_ports: tuple[tuple[str, int], ...] = tuple(DEFAULT_PORTS.items())

    async def verify(self, domain: str, token: str, method: Method) -> None:
        """Raise `Refusal` with what was expected and what was found unless the token is there."""
        look = self._look_in_dns if method == "DNS" else self._look_for_file
        try:
            await look(domain, token)
        except Missed as missed:
            expected = (
                f"a TXT record {txt_name(domain)} with the value {token}"
                if method == "DNS"
                else f"the text {token} at {file_url(domain)}"
            )
            raise Refusal(f"Expected {expected}; {missed}") from None

    async def _look_in_dns(self, domain: str, token: str) -> None:
        if is_address(domain):
            raise Missed("an address has no such record; verify it by HTTP")
        texts = await _txt_records(txt_name(domain), self.dns_server)
        if token not in (text.strip() for text in texts):
            raise Missed(f"found {_listed(texts)}" if texts else "there is no TXT record")

    async def _look_for_file(self, domain: str, token: str) -> None:
        misses: dict[str, str] = {}
        for scheme, port in sorted(self.web_ports, reverse=True):  # https first
            url = file_url(domain, scheme)
            try:
                found = await _limited(self._fetch(url, domain, port, is_tls=scheme == "https"))
            except Missed as missed:
                misses[scheme] = str(missed)
                continue
            if found.strip() == token:
                return
            misses[scheme] = f"found {_shown(found)}"
        if len(set(misses.values())) == 1:
            raise Missed(misses.popitem()[1])
        raise Missed(", ".join(f"{scheme}: {miss}" for scheme, miss in misses.items()))

    async def _fetch(self, url: str, domain: str, port: int, *, is_tls: bool) -> str:
        """Return the file's text from the first address that accepts a connection."""
        try:
            addresses = await self.targets.check(url)
        except Refusal as refusal:
            raise Missed(refusal.message.removeprefix("targetUrl cannot be used: ")) from None
        context = await asyncio.to_thread(_tls_context, self.ca_file) if is_tls else None
        problem: Exception = OSError("no address")
        for address in addresses:
            try:
                async with asyncio.timeout(_CONNECT_TIMEOUT):
                    reader, writer = await asyncio.open_connection(
                        address, port, ssl=context, server_hostname=domain if is_tls else None
                    )
            except TimeoutError:
                problem = OSError(f"no connection in {_CONNECT_TIMEOUT:g} s")
                continue
            except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
                problem = error
                continue
            try:
                return await _exchange(reader, writer, url)
            except (OSError, h11.RemoteProtocolError) as error:
                raise Missed(f"the answer cannot be read: {_reason(error)}") from None
            finally:
                writer.transport.abort()
        raise Missed(_reason(problem))


async def _limited(fetching: Awaitable[str]) -> str:
    try:
        async with asyncio.timeout(_TIMEOUT):
            return await fetching
    except TimeoutError:
        raise Missed(f"no complete answer in {_TIMEOUT:g} s") from None


def _tls_context(ca_file: str | None) -> ssl.SSLContext:
    """Trusts what load generators trust."""
    usual = ssl.get_default_verify_paths().cafile or certifi.where()
    context = ssl.create_default_context(cafile=usual)
    if ca_file is not None:
        try:
            context.load_verify_locations(ca_file)
        except OSError as error:
            raise Missed(f"cannot use the certificates in {ca_file}: {error}") from None
    return context


async def _exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, url: str) -> str:
    """Request the file; raises Missed for another status and for a body that is too long."""
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=_LONGEST_HEAD)
    authority = url.partition("://")[2].removesuffix(PATH)
    head = [("Host", authority), ("User-Agent", "tm"), ("Accept", "*/*"), ("Connection", "close")]
    request = connection.send(h11.Request(method="GET", target=PATH, headers=head))
    writer.write((request or b"") + (connection.send(h11.EndOfMessage()) or b""))
    body, received = b"", 0
    while True:
        event = connection.next_event()
        match event:
            case h11.NEED_DATA:
                data = await reader.read(4096)
                received += len(data)
                if received > _LONGEST_HEAD + 2 * _LONGEST_BODY:
                    raise Missed("the answer is too long")
                connection.receive_data(data)
            case h11.Response():
                _check_status(event)
            case h11.Data():
                body += event.data
                if len(body) > _LONGEST_BODY:
                    raise Missed(f"found more than {_LONGEST_BODY} bytes")
            case h11.EndOfMessage() | h11.ConnectionClosed():
                return body.decode("utf-8-sig", "replace")


def _check_status(response: h11.Response) -> None:
    if response.status_code == _OK:
        return
    location = next((value for name, value in response.headers if name == b"location"), b"")
    to = f" to {_shown(location.decode('ascii', 'replace'))}, which is not followed"
    raise Missed(f"found status {response.status_code}{to if location else ''}")


async def _txt_records(name: str, server: tuple[str, int] | None) -> list[str]:
    """The texts of all TXT records of a name, the parts of each joined."""
    import dns.asyncresolver
    import dns.exception
    import dns.resolver

    try:
        resolver = dns.asyncresolver.Resolver(configure=server is None)
        if server is not None:
            resolver.nameservers, resolver.port = [server[0]], server[1]
        answer = await resolver.resolve(f"{name}.", "TXT", lifetime=_TIMEOUT)
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        return []
    except (dns.exception.DNSException, OSError) as error:
        raise Missed(f"the lookup has failed: {_reason(error)}") from None
    return sorted(b"".join(record.strings).decode("utf-8", "replace") for record in answer)


def _reason(error: Exception) -> str:
    text = getattr(error, "verify_message", None) or getattr(error, "strerror", None)
    return str(text or error) or type(error).__name__


def _listed(texts: Sequence[str]) -> str:
    more = f" and {len(texts) - _MOST_SHOWN} more" if len(texts) > _MOST_SHOWN else ""
    return ", ".join(map(_shown, texts[:_MOST_SHOWN])) + more


def _shown(text: str) -> str:
    text = text.strip()
    return repr(text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + "…")
