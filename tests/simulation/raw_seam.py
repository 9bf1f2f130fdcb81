"""tm's gates and clients on the simulated services, without HTTP library or sockets.

Answers go as bytes through tm's own `understand`, so that its JSON layer takes part.
"""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NoReturn

from tests.simulation.clock import Hang, ImpossibleSleep, VirtualClock
from tests.simulation.messages import Request
from tests.simulation.nemesis import Blow, Nemesis
from tests.simulation.recorder import Recording
from tests.simulation.schedules import Schedule
from tests.simulation.system import system_of
from tests.simulation.wire import Lost, Wire
from tm_cli.api.errors import ConnectionFailed, InvalidResponse
from tm_cli.api.responses import ErrorReader, RawAnswer, parse_response
from tm_cli.api.retry import RequestBudget
from tm_cli.errors import TmError
from tm_cli.gate.events import Decided, RunStarted
from tm_cli.gate.lifecycle import Follow
from tm_cli.gate.live_limits import parse_live_limit
from tm_cli.gate.policy import Decision, Gate, from_error
from tm_cli.gate.polling import PollingPolicy
from tm_cli.gate.scheduler import drive
from tm_cli.runtime.signals import SignalReceived
from tm_cli.values.verdict import Verdict


@dataclass(frozen=True)
class Received:
    """A 2xx answer as tm's transport returns it."""

    document: Any
    status: int
    headers: Mapping[str, str]


class RawTransport:
    """tm's transport seam."""

    def __init__(self, wire: Wire, explain: ErrorReader, budget: RequestBudget | None) -> None:
        self._wire = wire
        self._explain = explain
        self._budget = budget

    def get(self, path: str, params: Mapping[str, str | int] | None = None) -> Any:
        query = {name: str(value) for name, value in (params or {}).items()}
        return self._send(Request("GET", f"/{path}", query)).document

    def post(self, path: str, body: Any = None) -> Any:
        return self.send_once("POST", path, body).document

    def send_once(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        params: Mapping[str, str | int] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Received:
        query = {name: str(value) for name, value in (params or {}).items()}
        named = {name.lower(): value for name, value in (headers or {}).items()}
        return self._send(Request(method, f"/{path}", query, body, named))

    def _send(self, request: Request) -> Received:
        where = f"{request.method} {request.path}"
        if self._budget:
            self._budget.take()
        try:
            reply = self._wire.exchange(request)
        except Lost as lost:
            raise ConnectionFailed(f"{where}: {lost}", maybe_sent=lost.maybe_sent) from None
        if "content-encoding" in reply.headers:
            raise InvalidResponse(f"{where} answered with a compressed body")
        answer = RawAnswer(where, reply.status, reply.headers, reply.body)
        return Received(parse_response(answer, self._explain), reply.status, reply.headers)


class Simulation:
    """World, clock, nemesis and wire of one schedule."""

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule
        self.system = system_of(schedule)
        self.clock = VirtualClock()
        self.world = self.system.make_world(schedule.truth, lambda: self.clock.elapsed)
        self.recording = Recording(self.world)
        self._nemesis = Nemesis(self.world, self.clock, self._interrupt)
        self._blows: dict[int, list[Blow]] = {}
        for blow in schedule.blows:
            if blow.request is not None:
                self._blows.setdefault(blow.request, []).append(blow)
            else:
                self.clock.plan(blow.at or 0.0, lambda blow=blow: self._nemesis.deal(blow))
        self.wire = Wire(
            self.system.make_api(self.world, style=schedule.style),
            self.system.MENU,
            self.system.DIALECT,
            schedule.plan,
            self.recording,
            now=lambda: self.clock.elapsed,
            spend=self.clock.spend,
            before=self._before_request,
        )

    def budget(self) -> RequestBudget | None:
        """What tm allows itself of this system's requests."""
        per_minute = self.system.DIALECT.per_minute
        return None if per_minute is None else RequestBudget(self.clock, per_minute)

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
    transport = RawTransport(
        simulation.wire, simulation.system.DIALECT.explain, simulation.budget()
    )
    return follow(simulation, transport)


def follow(simulation: Simulation, transport: Any) -> Recording:
    """Run the gate over this transport to its end, however it ends."""
    recording = simulation.recording
    try:
        _follow(simulation, transport)
    except (Hang, ImpossibleSleep, SignalReceived) as problem:
        recording.broken = f"{type(problem).__name__}: {problem}"
    except Exception:
        recording.broken = traceback.format_exc(limit=-4)
    recording.ended = simulation.clock.elapsed
    return recording


def _follow(simulation: Simulation, transport: Any) -> None:
    schedule, recording = simulation.schedule, simulation.recording
    gate = Gate(
        fail_on=frozenset(Verdict(word) for word in schedule.fail_on),
        wait_timeout=schedule.wait_timeout,
        verdict_timeout=schedule.verdict_timeout,
        polling=PollingPolicy(interval=schedule.interval),
        abort_if=tuple(map(parse_live_limit, schedule.abort_if)),
    )
    try:
        subject = simulation.system.open_gate(simulation, transport)
    except TmError as error:
        _decided(recording, from_error(error, gate))
        return
    except SignalReceived as signal:
        _decided(recording, from_error(signal.as_error("nothing was started", None), gate))
        return
    gate = replace(gate, checks=subject.checks)
    recording.attached = subject.attach_to is not None
    one = Follow(subject.runs, gate, simulation.clock, attach_to=subject.attach_to)
    for _, event in drive([one], gate, simulation.clock):
        recording.moments.append((simulation.clock.elapsed, type(event).__name__))
        if isinstance(event, RunStarted):
            recording.run_id = event.run.run_id
        elif isinstance(event, Decided):
            _decided(recording, event.decision)


def _decided(recording: Recording, decision: Decision) -> None:
    recording.exit_code = int(decision.exit_code)
    recording.slug = decision.code
    recording.texts += [decision.message, decision.hint or ""]
