"""The services of the server, which the routes use."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import HTTPConnection, Request

from tm_cli.clock import Clock
from tm_cli.server.crew.agents import Agents
from tm_cli.server.identity import IdentityProof
from tm_cli.server.leases import Leases
from tm_cli.server.limits import Quota
from tm_cli.server.profile import StoredProfile
from tm_cli.server.refusal import Refusal
from tm_cli.server.regions import LOCAL
from tm_cli.server.store.history import HistoryStore
from tm_cli.server.store.pins import PinStore
from tm_cli.server.store.profiles import ProfileStore
from tm_cli.server.supervisor import Supervisor
from tm_cli.server.targets import TargetRule
from tm_cli.server.verdicts import Judge


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
    limits: Quota
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
