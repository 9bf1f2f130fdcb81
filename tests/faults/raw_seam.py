"""tm's gate and client on the simulated service, without HTTP library or sockets.

Answers go as bytes through tm's own `understand`, so that its JSON layer takes part.
"""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from typing import Any, NoReturn

from faults.api import Api
from faults.clock import Hang, ImpossibleSleep, VirtualClock
from faults.nemesis import Blow, Nemesis
from faults.recorder import Recording
from faults.schedules import Schedule
from faults.wire import Lost, Wire
from faults.world import PROFILE, World
from tm_cli.api.answers import Answer, understand
from tm_cli.api.errors import NotReached, NotUnderstood
from tm_cli.api.trafficmorph.client import Client
from tm_cli.gate.drive import drive
from tm_cli.gate.events import Decided, Started
from tm_cli.gate.flow import Follow
from tm_cli.gate.policy import Gate
from tm_cli.gate.polling import Pace
from tm_cli.gate.verdict import Verdict
from tm_cli.signals import SignalReceived
from tm_cli.systems.trafficmorph.runs import TrafficMorphRuns


class RawTransport:
    """tm's transport seam."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def get(self, path: str, params: Mapping[str, str | int] | None = None) -> Any:
        return self._send("GET", path, {name: str(value) for name, value in (params or {}).items()})

    def post(self, path: str, body: Any = None) -> Any:
        return self._send("POST", path, {}, body)

    def _send(self, method: str, path: str, query: Mapping[str, str], body: Any = None) -> Any:
        where = f"{method} /{path}"
        try:
            reply = self._wire.exchange(method, f"/{path}", query, body)
        except Lost as lost:
            raise NotReached(f"{where}: {lost}", maybe_sent=lost.maybe_sent) from None
        if "content-encoding" in reply.headers:
            raise NotUnderstood(f"{where} answered with a compressed body")
        return understand(Answer(where, reply.status, reply.headers, reply.body))


class Simulation:
    """World, clock, nemesis and wire of one schedule."""

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule
        self.clock = VirtualClock()
        self.world = World(schedule.truth, lambda: self.clock.elapsed)
        self.recording = Recording(self.world)
        self._nemesis = Nemesis(self.world, self.clock, self._interrupt)
        self._blows: dict[int, list[Blow]] = {}
        for blow in schedule.blows:
            if blow.request is not None:
                self._blows.setdefault(blow.request, []).append(blow)
            else:
                self.clock.plan(blow.at or 0.0, lambda blow=blow: self._nemesis.deal(blow))
        self.wire = Wire(
            Api(self.world, style=schedule.style),
            schedule.plan,
            self.recording,
            now=lambda: self.clock.elapsed,
            spend=self.clock.spend,
            before=self._before_request,
        )

    def _before_request(self, number: int) -> None:
        for blow in self._blows.get(number, ()):
            self._nemesis.deal(blow)
        if self.clock.wall_offset:
            self.recording.wall_offsets.append(self.clock.wall_offset)

    def _interrupt(self, number: int) -> NoReturn:
        self.recording.signals.append((self.clock.elapsed, number))
        raise SignalReceived(number)


def run(schedule: Schedule) -> Recording:
    """Run the gate through a schedule and return what happened."""
    simulation = Simulation(schedule)
    client = Client(RawTransport(simulation.wire), simulation.clock)
    return follow(simulation, client)


def follow(simulation: Simulation, client: Client) -> Recording:
    """Run the gate with this client to its end, however it ends."""
    schedule, recording = simulation.schedule, simulation.recording
    region = "eu-west" if schedule.uses_region else None
    runs = TrafficMorphRuns(
        client,
        simulation.clock,
        PROFILE,
        subject="checkout",
        region=region,
        tags=schedule.truth.tags,
    )
    gate = Gate(
        fail_on=frozenset(Verdict(word) for word in schedule.fail_on),
        wait_timeout=schedule.wait_timeout,
        verdict_timeout=schedule.verdict_timeout,
        pace=Pace(interval=schedule.interval),
    )
    try:
        for _, event in drive([Follow(runs, gate, simulation.clock)], gate, simulation.clock):
            _note(recording, simulation.clock.elapsed, event)
    except (Hang, ImpossibleSleep, SignalReceived) as problem:
        recording.broken = f"{type(problem).__name__}: {problem}"
    except Exception:
        recording.broken = traceback.format_exc(limit=-4)
    recording.ended = simulation.clock.elapsed
    return recording


def _note(recording: Recording, at: float, event: object) -> None:
    recording.moments.append((at, type(event).__name__))
    if isinstance(event, Started):
        recording.run_id = event.run.run_id
    elif isinstance(event, Decided):
        decision = event.decision
        recording.exit_code = int(decision.exit_code)
        recording.slug = decision.code
        recording.texts += [decision.message, decision.hint or ""]
