"""What sends an arrival's request or requests to a target."""

from collections.abc import Mapping
from typing import Protocol

from tm_cli.server.engine.job import EngineJob, RequestTarget
from tm_cli.server.engine.played import Played
from tm_cli.server.engine.sender import TargetClient


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

    def send(self) -> int | str | Played:
        """Play one arrival; whatever goes wrong is its result, never an exception."""
        ...

    def connect(self) -> int | str:
        """Connect without sending a request; return 0, or the name of the error."""
        ...

    def close(self) -> None: ...


def client_for(job: EngineJob, target: RequestTarget) -> Client:
    """The client that plays the arrivals of a job against one of its targets."""
    return TargetClient(job, target)
