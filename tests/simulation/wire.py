"""Joins world, plan and nemesis: every front end sends its requests through here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from tests.simulation.bodies import HTML
from tests.simulation.messages import Reply, Request
from tests.simulation.plan import LOST, ODD_STATUSES, REDIRECTS, STATUSES, Fault, Menu, Plan
from tests.simulation.recorder import Op, Recording
from tests.simulation.system import Api, Dialect

LATENCY = 0.01
TIMEOUT = 30.0
"""Seconds that the HTTP library gives a request."""


class Lost(Exception):
    """No complete answer; the front end turns it into what its client would see."""

    def __init__(self, fault: Fault, reply: Reply | None) -> None:
        super().__init__(fault.kind)
        self.fault = fault
        self.reply = reply
        self.maybe_sent = LOST[fault.kind].maybe_sent


@dataclass(slots=True)
class Wire:
    """Carries requests to the world; `spend` lets time pass, `before` deals with request n."""

    api: Api
    menu: Menu
    dialect: Dialect
    plan: Plan
    recording: Recording
    now: Callable[[], float]
    spend: Callable[[float], None]
    timeout: float = 30.0
    before: Callable[[int], None] = lambda _number: None
    _used: dict[str, int] = field(default_factory=dict)

    def exchange(self, request: Request) -> Reply:
        """Answer a request, or raise Lost."""
        endpoint = self._name(request)
        number, now = len(self.recording.ops), self.now()
        op = Op(number, endpoint, request.page, now, key=request.key, path=request.path)
        self.recording.ops.append(op)
        op.fault = self._next_fault(endpoint)
        self.before(op.number)
        self.spend(LATENCY)
        try:
            op.reply = self._meet(op.fault, endpoint, request)
        except Lost as lost:
            op.outcome = "info" if lost.maybe_sent else "fail"
            op.ended = self.now()
            raise
        op.outcome = "ok" if op.reply.status < 300 else "fail"
        op.ended = self.now()
        return op.reply

    def _name(self, request: Request) -> str:
        """What a read asks for has other names before the start."""
        endpoint = self.api.endpoint_of(request)
        if self.recording.attached or "start" in self._used:
            return endpoint
        return self.dialect.before_start.get(endpoint, endpoint)

    def _next_fault(self, endpoint: str) -> Fault | None:
        place = self._used.get(endpoint, 0)
        self._used[endpoint] = place + 1
        faults = self.plan.get(endpoint, ())
        return faults[place] if place < len(faults) else None

    def _meet(self, fault: Fault | None, endpoint: str, request: Request) -> Reply:
        acts = fault is None or fault.kind not in self.menu.never_acted
        if endpoint in {"start", "stop"} and fault is not None:
            acts = acts and fault.acted
        reply = self.api.answer(request) if acts else None
        if fault is None:
            if reply is None:
                raise AssertionError("without a fault the world acts")
            return reply
        if fault.kind in LOST:
            if LOST[fault.kind].takes_timeout:
                self.spend(self.timeout)
            raise Lost(fault, reply)
        if fault.kind in STATUSES or fault.kind in self.menu.errors:
            error = self.menu.errors.get(fault.kind) or _status(fault, reply)
            if endpoint == "start" and not acts:
                self.dialect.refuse(self.api, request, error)
            return error
        if reply is None:
            raise AssertionError(f"{fault} needs an answer to spoil")
        if fault.kind == "slow":
            self.spend(min(float(fault.arg % 29), self.timeout * 0.9))
            return reply
        return self.menu.spoilt[fault.kind](reply, fault.arg) if reply.status < 300 else reply


def _status(fault: Fault, reply: Reply | None) -> Reply:
    """An answer with the fault's status; some of the odd ones carry the document."""
    status = int(fault.kind[:3])
    headers = {"content-type": "application/json"}
    if fault.kind in REDIRECTS:
        return Reply(status, b"", {"location": "https://elsewhere.example/api/v1/"})
    if fault.kind in ODD_STATUSES:
        body = reply.body if reply is not None and status not in {204, 304} else b""
        return Reply(status, body, headers)
    if fault.kind.endswith("-html"):
        return _with_retry_after(fault, Reply(status, HTML, {"content-type": "text/html"}))
    body = b'{"error": "something is wrong", "code": "SIMULATED"}'
    return _with_retry_after(fault, Reply(status, body, headers))


def _with_retry_after(fault: Fault, reply: Reply) -> Reply:
    asked = fault.retry_after()
    if asked is None or not (asked.isascii() or fault.arg % 2):
        return reply
    more = {"retry-after": asked, "date": "Sun, 01 Mar 2026 12:00:00 GMT"}
    return Reply(reply.status, reply.body, {**reply.headers, **more})
