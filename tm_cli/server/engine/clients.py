"""What sends an arrival's request or requests to a target."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Protocol

from tm_cli.server.engine.http1.client import TargetClient
from tm_cli.server.engine.job import EngineJob, RequestTarget
from tm_cli.server.engine.journeys.client import JourneyClient, OnResponse
from tm_cli.server.engine.played import Played

if TYPE_CHECKING:
    from tm_cli.server.engine.locustfiles.visitors import Scenario


class Client(Protocol):
    """Plays arrivals against one target, from several greenlets at once.

    `requests` are those by the target's address, `bodies` the bytes of bodies by status, `repeated`
    the requests that were sent again, and `error` what the last result was the name of.
    """

    @property
    def requests(self) -> Mapping[str, int]: ...
    @property
    def bodies(self) -> Mapping[str, int]: ...
    @property
    def repeated(self) -> int: ...
    @property
    def error(self) -> Exception | None: ...

    def send(self, number: int = 0) -> int | str | Played:
        """Play one arrival, by its number in the curve; whatever goes wrong is its result."""
        ...

    def connect(self) -> int | str:
        """Connect without sending a request; return 0, or the name of the error."""
        ...

    def close(self) -> None: ...


def scenario_for(job: EngineJob, on_quit: Callable[[], None]) -> Scenario | None:
    """The locustfile of the job, if it has one; it is run here, and may end the run by `on_quit`.

    Raises JobError when that is not possible.
    """
    if job.locustfile is None:
        return None
    from tm_cli.server.engine.locustfiles.visitors import Scenario

    return Scenario(job, job.locustfile, on_quit)


def client_for(
    job: EngineJob,
    target: RequestTarget,
    scenario: Scenario | None = None,
    on_response: OnResponse | None = None,
) -> Client:
    """The client that plays the arrivals of a job against one of its targets.

    `on_response` gets the responses of a job with a response script.
    """
    if scenario is not None:
        return scenario.client(job, target)
    return JourneyClient(job, target, on_response) if job.is_journey else TargetClient(job, target)
