"""What all routes share: services, quota, and the leases of a server started on demand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from starlette.requests import HTTPConnection, Request

from tm_cli.runtime.clock import Clock
from tm_cli.server.capture_sources.sources import CaptureSources
from tm_cli.server.domains.rule import DomainRule
from tm_cli.server.domains.verification import DomainVerifier
from tm_cli.server.locustfiles import Locustfiles
from tm_cli.server.profiles import LOCAL, StoredProfile
from tm_cli.server.quota import Quota
from tm_cli.server.runs.supervisor import Supervisor
from tm_cli.server.runs.verdicts import Judge
from tm_cli.server.store.calibrations import Calibrations
from tm_cli.server.store.domains import DomainStore
from tm_cli.server.store.history import HistoryStore
from tm_cli.server.store.profiles import PinStore, ProfileStore
from tm_cli.server.store.variables_sets import VariablesSetStore
from tm_cli.server.targets import TargetRule
from tm_cli.server.web.bodies import Refusal
from tm_cli.server.web.guard import IdentityProof
from tm_cli.server.workers.remote_workers import Agents

UNUSED_GRACE = 0.5
NEVER_USED_GRACE = 30.0
_HEARTBEAT_INTERVAL = 3.0
_POLL_INTERVAL = 0.1


class Leases:
    """Counts the clients that hold the server; each holds one open response."""

    def __init__(self) -> None:
        self.held = 0
        self.ever_held = False
        self._closing = asyncio.Event()

    async def hold(self) -> AsyncIterator[bytes]:
        """Yield a line now and then, until the client disconnects or the server ends."""
        self.held += 1
        self.ever_held = True
        try:
            while not self._closing.is_set():
                yield b"\n"
                await _first(self._closing, _HEARTBEAT_INTERVAL)
        finally:
            self.held -= 1

    @property
    def is_closed(self) -> bool:
        """Whether the server is stopping and grants no more leases."""
        return self._closing.is_set()

    def close(self) -> None:
        self._closing.set()

    async def until_closed(self) -> None:
        await self._closing.wait()


async def _first(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return


class UnusedRule:
    """Decides when a server has been unused for long enough."""

    def __init__(self, now: float) -> None:
        self._unused_since: float | None = now

    def should_exit(self, now: float, *, in_use: bool, ever_used: bool) -> bool:
        """Whether to exit at `now`; call it often."""
        if in_use:
            self._unused_since = None
            return False
        if self._unused_since is None:
            self._unused_since = now
        grace = UNUSED_GRACE if ever_used else NEVER_USED_GRACE
        return now - self._unused_since >= grace


async def wait_until_unused(
    leases: Leases, is_busy: Callable[[], bool], monotonic: Callable[[], float]
) -> None:
    """Close the leases once none has been held and no run active for long enough.

    Nothing is awaited in between, so that no lease is granted by a server that is stopping.
    """
    rule = UnusedRule(monotonic())
    while not rule.should_exit(
        monotonic(), in_use=leases.held > 0 or is_busy(), ever_used=leases.ever_held
    ):
        await asyncio.sleep(_POLL_INTERVAL)
    leases.close()


@dataclass(frozen=True, slots=True)
class Services:
    """Made once per server, found by the routes on the application."""

    profiles: ProfileStore
    variables_sets: VariablesSetStore
    history: HistoryStore
    supervisor: Supervisor
    targets: TargetRule
    agents: Agents
    pins: PinStore
    judge: Judge
    calibrations: Calibrations
    leases: Leases
    identity: IdentityProof
    quota: Quota
    clock: Clock
    locustfiles: Locustfiles
    capture_sources: CaptureSources
    domains: DomainStore
    domain_rule: DomainRule
    domain_verifier: DomainVerifier
    ca_file: str | None = None
    init_scripts: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(4))
    """As many may run at the same time."""

    @classmethod
    def of(cls, request: HTTPConnection) -> Services:
        services = request.app.state.services
        assert isinstance(services, cls)  # noqa: S101 - put there by create_app
        return services

    def profile(self, request: Request) -> StoredProfile:
        profile = self.profiles.find(path_id(request))
        if profile is None:
            raise Refusal("Profile not found")
        return profile

    def check_monthly_requests(self) -> None:
        """Raise `Refusal` once the requests of this month have been used up."""
        if not (included := self.quota.monthly_requests):
            return
        if (used := self.supervisor.used_requests) < included:
            return
        raise Refusal(
            f"The {included:,} requests of this month are used up; the next month begins at "
            "00:00 UTC on its first day, or `tm serve --monthly-requests` permits more",
            status=409,
            code="USAGE_LIMIT_REACHED",
            details={
                "usedRequests": used,
                "includedRequests": included,
                "usagePercent": round(100 * used / included, 1),
                "upgradeUrl": "",
            },
        )

    async def check_target(self, url: str, region: str) -> list[str] | None:
        """Raise `Refusal` unless a run in `region` may be aimed at `url`.

        Returns the addresses that were judged, to which the load is then bound. Agents see other
        addresses than this host does, and judge those themselves; for them it is None.
        """
        addresses = None
        if region == LOCAL:
            addresses = await self.targets.check(url)
        else:
            self.targets.check_literally(url)
        self.domain_rule.check(url, addresses)
        return addresses

    async def check_here(self, url: str) -> list[str]:
        """Likewise for requests that the server itself sends for a run."""
        return await self.check_target(url, LOCAL) or []


def path_id(request: Request) -> int:
    """The id in the path, a 64-bit integer; raises `Refusal`."""
    return whole_number(request.path_params["id"], "id")


def whole_number(text: str, name: str, *, bits: int = 64) -> int:
    """Read an integer of so many bits written in plain digits; anything else is refused."""
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 19):
        raise Refusal(f"{name} must be an integer")
    number = int(text)
    if not -(2 ** (bits - 1)) <= number < 2 ** (bits - 1):
        raise Refusal(f"{name} must be an integer of {bits} bits")
    return number
