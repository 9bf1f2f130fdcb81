"""Whether the owner of a domain has put its token where only the owner can: in DNS, or in a file.

Files are asked for at addresses that were judged, and no redirect is followed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from tm_cli.server.domains.rule import is_address
from tm_cli.server.outgoing import OutgoingRequests, RequestFailed, reason_of
from tm_cli.server.targets import TargetRule
from tm_cli.server.web.bodies import Refusal
from tm_cli.values.urls import DEFAULT_PORTS

Method = Literal["DNS", "HTTP"]

PATH = "/.well-known/trafficmorph-verify.txt"
_TIMEOUT = 10.0  # for an answer from DNS, or over one of https and http
_LONGEST_BODY = 4096
_LONGEST_SHOWN = 100
_MOST_SHOWN = 5
_OK = 200


class Missed(Exception):
    """What was found instead of the token."""


def txt_name(domain: str) -> str:
    return f"_trafficmorph-verify.{domain}"


def file_url(domain: str, scheme: str = "https", port: str = "") -> str:
    host = f"[{domain}]" if ":" in domain else domain
    return f"{scheme}://{host}{port}{PATH}"


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
            url = file_url(domain, scheme, "" if port == DEFAULT_PORTS[scheme] else f":{port}")
            try:
                found = await self._fetch(url)
            except Missed as missed:
                misses[scheme] = str(missed)
                continue
            if found.strip() == token:
                return
            misses[scheme] = f"found {_shown(found)}"
        if len(set(misses.values())) == 1:
            raise Missed(misses.popitem()[1])
        raise Missed(", ".join(f"{scheme}: {miss}" for scheme, miss in misses.items()))

    async def _fetch(self, url: str) -> str:
        requests = OutgoingRequests(self.targets.check, self.ca_file)
        try:
            answer = await requests.send("GET", url, seconds=_TIMEOUT, most=_LONGEST_BODY)
        except RequestFailed as failure:
            raise Missed(str(failure)) from None
        if answer.status != _OK:
            location = answer.headers.get("location")
            to = f" to {_shown(location)}, which is not followed" if location else ""
            raise Missed(f"found status {answer.status}{to}")
        if answer.is_cut:
            raise Missed(f"found more than {_LONGEST_BODY} bytes")
        return answer.body.decode("utf-8-sig", "replace")


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
        raise Missed(f"the lookup has failed: {reason_of(error)}") from None
    return sorted(b"".join(record.strings).decode("utf-8", "replace") for record in answer)


def _listed(texts: Sequence[str]) -> str:
    more = f" and {len(texts) - _MOST_SHOWN} more" if len(texts) > _MOST_SHOWN else ""
    return ", ".join(map(_shown, texts[:_MOST_SHOWN])) + more


def _shown(text: str) -> str:
    text = text.strip()
    return repr(text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + "…")
