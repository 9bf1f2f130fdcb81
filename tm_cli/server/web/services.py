"""The services and the quota of the server, which the routes use."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import HTTPConnection, Request

from tm_cli.runtime.clock import Clock
from tm_cli.server.leases import Leases
from tm_cli.server.profiles import LOCAL, StoredProfile
from tm_cli.server.runs.supervisor import Supervisor
from tm_cli.server.runs.verdicts import Judge
from tm_cli.server.store.history import HistoryStore
from tm_cli.server.store.profiles import PinStore, ProfileStore
from tm_cli.server.targets import TargetRule
from tm_cli.server.web.bodies import Refusal
from tm_cli.server.web.guard import IdentityProof
from tm_cli.server.workers.remote_workers import Agents


@dataclass(frozen=True, slots=True)
class Quota:
    """Counts and rates; the rate of a curve is clamped to the cap, everything else is refused."""

    profiles: int = 1000
    concurrent_runs: int = 4
    profile_rps: int = 10_000
    schedule_slots: int = 100
    notify_emails: int = 10
    header_count: int = 64
    requests_per_minute: int = 600


@dataclass(frozen=True, slots=True)
class Services:
    """Made once per server, found by the routes on the application."""

    profiles: ProfileStore
    history: HistoryStore
    supervisor: Supervisor
    targets: TargetRule
    agents: Agents
    pins: PinStore
    judge: Judge
    leases: Leases
    identity: IdentityProof
    quota: Quota
    clock: Clock

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

    async def check_target(self, url: str, region: str) -> list[str] | None:
        """Raise `Refusal` unless a run in `region` may be aimed at `url`.

        Returns the addresses that were judged, to which the load is then bound. Agents see other
        addresses than this host does, and judge those themselves; for them it is None.
        """
        if region == LOCAL:
            return await self.targets.check(url)
        self.targets.check_literally(url)
        return None


def path_id(request: Request) -> int:
    """The id in the path, a 64-bit integer; raises `Refusal`."""
    return whole_number(request.path_params["id"], "id")


def whole_number(text: str, name: str) -> int:
    """Read an integer of 64 bits written in plain digits; anything else is refused."""
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 19):
        raise Refusal(f"{name} must be an integer")
    number = int(text)
    if not -(2**63) <= number < 2**63:
        raise Refusal(f"{name} must be an integer of 64 bits")
    return number
