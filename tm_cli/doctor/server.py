"""What the server answers to the key: account, limits, history. Only reads, each sent once."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from tm_cli.api.client import given
from tm_cli.api.errors import ApiError, HttpError
from tm_cli.api.trafficmorph import TrafficMorphClient
from tm_cli.api.transport import Transport
from tm_cli.doctor.network import Network, ProbeResult, Route
from tm_cli.errors import TmError
from tm_cli.exit_codes import ExitCode
from tm_cli.runtime.clock import Clock
from tm_cli.settings import RUNLOOP, STRAIT
from tm_cli.settings.resolution import ResolvedSettings
from tm_cli.values.check_result import CheckResult, ok, problem, problem_from, skipped, warning
from tm_cli.values.proxy import NamedProxy, ProxyChoice, choose_proxy
from tm_cli.values.text import sanitize

NEARLY = 0.9
"""The part of a quota from which on it is worth a warning."""

_SMALLEST_READS = {RUNLOOP: "v1/benchmark_runs", STRAIT: "v1/runs"}


def smallest_read(settings: ResolvedSettings, system: str) -> tuple[str, dict[str, Any]]:
    """Return path and query of the cheapest read of a system that knows no accounts."""
    project = settings.value("strait_project") if system == STRAIT else None
    return _SMALLEST_READS[system], given({"limit": 1, "project_id": project})


def check_account(client: TrafficMorphClient) -> Iterator[CheckResult]:
    """Try the key on the account and on the history."""
    try:
        yield from _account(client.get_account().document())
    except ApiError as error:
        if not (isinstance(error, HttpError) and error.status == 404):
            yield problem_from("access", error)
            yield skipped("history", "the account could not be read")
            return
        yield warning(
            "account",
            "this server has no accounts: its limits are unknown",
            "nothing to do: old servers have none",
        )
    yield _history(client)


def check_reading(
    transport: Transport, settings: ResolvedSettings, system: str
) -> Iterator[CheckResult]:
    """Try the key on the cheapest read of another system."""
    try:
        transport.get(*smallest_read(settings, system))
    except TmError as error:
        yield problem_from("access", error)
        return
    yield ok("access", f"accepted; the runs of {system} are readable")


def _account(account: Mapping[str, Any]) -> Iterator[CheckResult]:
    limits, usage = _table(account, "limits"), _table(account, "usage")
    yield ok("access", "accepted by the server")
    yield _plan(account, limits, usage)
    yield _capacity(limits, usage)


def _plan(
    account: Mapping[str, Any], limits: Mapping[str, Any], usage: Mapping[str, Any]
) -> CheckResult:
    plan, mode = account.get("subscriptionType"), account.get("deploymentMode")
    words = [f"plan {plan}" if plan else "plan unknown"]
    words += ["self-hosted"] if mode == "SELF_HOSTED" else []
    words += [f"{_number(limits, 'apiRequestsPerMinute')} requests to the API per minute"]
    features = account.get("features")
    named = [k for k, v in features.items() if v is True] if isinstance(features, dict) else []
    words += [f"with {', '.join(sorted(named))}"] if named else []
    facts = {"plan": sanitize(plan) if plan else None, "limits": _counts(limits)}
    text = "; ".join(words)
    if account.get("trialExpired") is True:
        fix = "the server refuses every request of such an account: choose a plan"
        return problem(
            "account", f"{text}; the trial is over", fix, ExitCode.AUTHENTICATION, **facts
        )
    used, quota = _count(usage, "usedRequests"), _count(usage, "includedRequests")
    if quota and used is not None and used >= quota * NEARLY:
        text = f"{text}; {used} of {quota} requests of this month are used"
        fix = "raise the quota, or wait for the next month"
        if used >= quota:
            return problem("account", text, fix, ExitCode.REFUSED, **facts)
        return warning("account", text, fix, **facts)
    return ok("account", text, **facts)


def _capacity(limits: Mapping[str, Any], usage: Mapping[str, Any]) -> CheckResult:
    active, most = _count(usage, "activeRunCount"), _count(limits, "maxConcurrentRuns")
    if active is None or not most:
        return skipped("capacity", "the server names no limit of concurrent runs")
    text = f"{active} of {most} concurrent runs are under way"
    if active >= most:
        return warning("capacity", text, "a start would be refused (8) until one of them has ended")
    return ok("capacity", text, active=active, most=most)


def _history(client: TrafficMorphClient) -> CheckResult:
    try:
        page = client.list_history(size=1)
    except ApiError as error:
        return problem_from("history", error)
    total = page.document().get("totalElements")
    count = f"{total} entries" if isinstance(total, int) else "there are entries"
    return ok("history", f"readable, {count if page.content else 'empty'}")


def _table(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = document.get(name)
    return found if isinstance(found, dict) else {}


def _counts(table: Mapping[str, Any]) -> dict[str, int]:
    return {name: count for name in table if (count := _count(table, name)) is not None}


def _count(table: Mapping[str, Any], name: str) -> int | None:
    value = table.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _number(table: Mapping[str, Any], name: str) -> str:
    value = _count(table, name)
    return "an unknown number of" if value is None else str(value)


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
    choice = choose_proxy(place.base_url, place.environ)
    proxy = choice.proxy
    yield _proxy(choice)
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


def _proxy(choice: ProxyChoice) -> CheckResult:
    if (proxy := choice.proxy) is None:
        reason = f", because of {sanitize(choice.exception)}" if choice.exception else ""
        return ok("proxy", f"none is used for this server{reason}", exception=choice.exception)
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
