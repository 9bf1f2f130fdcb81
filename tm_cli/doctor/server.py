"""Is the server there? Its name, its certificate, its answer and its clock; no key is sent."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from tm_cli.api.transport import NamedProxy, choose_proxy
from tm_cli.doctor.network import Network, ProbeResult, Route
from tm_cli.exit_codes import ExitCode
from tm_cli.runtime.clock import Clock
from tm_cli.values.check_result import CheckResult, ok, problem, skipped, warning

SOON = 14
"""Days before its end at which a certificate is worth a warning."""

SKEW = 5.0
"""Seconds by which clocks may differ: an old server's row may begin 5 s before our start."""


@dataclass(frozen=True, slots=True)
class Place:
    """A server to check: its address, whom to trust (None for plain http), and the variables."""

    base_url: str
    trust: ssl.SSLContext | None
    environ: Mapping[str, str]

    @property
    def host(self) -> str:
        """The host of the address."""
        return urlsplit(self.base_url).hostname or ""

    @property
    def port(self) -> int:
        """The port of the address."""
        return urlsplit(self.base_url).port or (443 if self.trust else 80)


def check_server(place: Place, network: Network, clock: Clock) -> Iterator[CheckResult]:
    """Check proxy, name, certificate, answer and clock; what needs a failed step is skipped."""
    proxy = choose_proxy(place.base_url, place.environ)
    yield _proxy(proxy)
    yield _name(place, proxy, network)
    if proxy is not None and not proxy.address.lower().startswith("http://"):
        yield skipped("connection", f"not tried: {proxy.variable} is not a plain http proxy")
        return
    before = clock.now()
    try:
        found = network.probe(Route(place.base_url, proxy.address if proxy else None, place.trust))
    except (OSError, http.client.HTTPException) as error:
        yield _unreachable(place, error)
        yield skipped("clock", "the server gave no time")
        return
    yield _certificate(place, found, clock.now())
    yield ok("connection", f"{place.host}:{place.port} answers (HTTP {found.status})")
    yield _clock(found.date, before, clock.now())


def _proxy(proxy: NamedProxy | None) -> CheckResult:
    if proxy is None:
        return ok("proxy", "none is used for this server")
    if not proxy.place:
        return problem(
            "proxy",
            f"{proxy.variable} does not name a proxy",
            "write http://HOST:PORT, or list the server in NO_PROXY",
            ExitCode.CONFIGURATION,
        )
    text = f"{proxy.place}, because {proxy.variable} says so"
    return ok("proxy", text, variable=proxy.variable, proxy=proxy.place)


def _name(place: Place, proxy: NamedProxy | None, network: Network) -> CheckResult:
    if proxy is not None:
        return skipped("DNS", "the proxy resolves the name")
    try:
        addresses = network.resolve(place.host, place.port)
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        return problem(
            "DNS",
            f"{place.host} has no address: {reason}",
            "check the spelling of the server's address, and this machine's resolver or VPN",
            ExitCode.UNAVAILABLE,
        )
    more = f" and {len(addresses) - 3} more" if len(addresses) > 3 else ""
    text = f"{place.host} is {', '.join(addresses[:3])}{more}"
    return ok("DNS", text, addresses=addresses)


def _unreachable(place: Place, error: Exception) -> CheckResult:
    where, code = f"{place.host}:{place.port}", ExitCode.UNAVAILABLE
    match error:
        case ssl.SSLCertVerificationError():
            text = f"{where} has a certificate that is not trusted: {error.verify_message}"
            fix = "name the authority's certificates in TM_CA_FILE, or have the server's renewed"
            return problem("TLS", text, fix, code)
        case ssl.SSLError():
            fix = "is this a port for https? a server without TLS has an http:// address"
            reason = getattr(error, "reason", None) or error
            return problem("TLS", f"{where} does not speak TLS: {reason}", fix, code)
        case socket.gaierror():
            return skipped("connection", "the name has no address")
        case TimeoutError():
            text, fix = f"{where} does not answer", "check for a firewall or VPN in between"
        case http.client.HTTPException():
            text, fix = f"{where} does not answer in HTTP", "is another program at this port?"
        case _:
            text = f"cannot connect to {where}: {getattr(error, 'strerror', None) or error}"
            fix = "check that the server runs, and the port in its address"
    return problem("connection", text, fix, code)


def _certificate(place: Place, found: ProbeResult, now: datetime) -> CheckResult:
    if place.trust is None:
        return skipped("TLS", "plain http: there is nothing to check")
    days = None if found.expires is None else (found.expires - now).days
    until = "" if found.expires is None else f", valid until {found.expires:%Y-%m-%d} ({days} days)"
    text = f"{found.tls}, certificate from {found.issuer or 'an unnamed issuer'}{until}"
    if days is not None and days < SOON:
        return warning("TLS", text, "have the server's certificate renewed", days_left=days)
    return ok("TLS", text, version=found.tls, issuer=found.issuer, days_left=days)


def _clock(date: datetime | None, before: datetime, after: datetime) -> CheckResult:
    if date is None:
        return skipped("clock", "the server gives no time")
    skew = _skew(date, before, after)
    if abs(skew) <= SKEW:
        text = "agrees with the server's" if skew == 0 else f"{abs(skew):.0f} s off the server's"
        return ok("clock", text, skew_seconds=skew)
    side = "behind" if skew > 0 else "ahead of"
    return warning(
        "clock",
        f"this machine is {abs(skew):.0f} s {side} the server",
        "set the clock by NTP: runs of old servers are found by their times",
        skew_seconds=skew,
    )


def _skew(date: datetime, before: datetime, after: datetime) -> float:
    """Seconds by which the server is surely ahead (or behind, if negative); its times are whole."""
    if date > after:
        return (date - after).total_seconds()
    return -max((before - date - timedelta(seconds=1)).total_seconds(), 0.0)
