"""Joins world, plan and nemesis: every front end sends its requests through here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from faults.api import Api, Reply, endpoint_of
from faults.bodies import HTML, SPOILT
from faults.plan import LOST, NEVER_ACTED, ODD_STATUSES, REDIRECTS, STATUSES, Fault, Plan
from faults.recorder import Op, Recording

LATENCY = 0.01
Request = tuple[str, str, Mapping[str, str], Any]
"""Method, path, query and the document of the body."""


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
    plan: Plan
    recording: Recording
    now: Callable[[], float]
    spend: Callable[[float], None]
    timeout: float = 30.0
    before: Callable[[int], None] = lambda _number: None
    _used: dict[str, int] = field(default_factory=dict)

    def exchange(self, method: str, path: str, query: Mapping[str, str], body: Any = None) -> Reply:
        """Answer a request, or raise Lost; `body` is its JSON document."""
        endpoint = self._name(method, path)
        op = Op(len(self.recording.ops), endpoint, query.get("page", ""), self.now())
        self.recording.ops.append(op)
        op.fault = self._next_fault(endpoint)
        self.before(op.number)
        self.spend(LATENCY)
        try:
            op.reply = self._meet(op.fault, (method, path, query, body))
        except Lost as lost:
            op.outcome = "info" if lost.maybe_sent else "fail"
            op.ended = self.now()
            raise
        op.outcome = "ok" if op.reply.status < 300 else "fail"
        op.ended = self.now()
        return op.reply

    def _name(self, method: str, path: str) -> str:
        """A history page before the start is the snapshot."""
        endpoint = endpoint_of(method, path)
        before_start = not any(op.endpoint == "start" for op in self.recording.ops)
        return "snapshot" if endpoint == "history" and before_start else endpoint

    def _next_fault(self, endpoint: str) -> Fault | None:
        place = self._used.get(endpoint, 0)
        self._used[endpoint] = place + 1
        faults = self.plan.get(endpoint, ())
        return faults[place] if place < len(faults) else None

    def _meet(self, fault: Fault | None, request: Request) -> Reply:
        acts = fault is None or fault.kind not in NEVER_ACTED
        if endpoint_of(*request[:2]) == "start" and fault is not None:
            acts = acts and fault.acted
        reply = self.api.answer(*request) if acts else None
        if fault is None:
            if reply is None:
                raise AssertionError("without a fault the world acts")
            return reply
        if fault.kind in LOST:
            if LOST[fault.kind].takes_timeout:
                self.spend(self.timeout)
            raise Lost(fault, reply)
        if fault.kind in STATUSES:
            return _status(fault, reply)
        if reply is None:
            raise AssertionError(f"{fault} needs an answer to spoil")
        if fault.kind == "slow":
            self.spend(min(float(fault.arg % 29), self.timeout * 0.9))
            return reply
        return SPOILT[fault.kind](reply, fault.arg) if reply.status == 200 else reply


def _status(fault: Fault, reply: Reply | None) -> Reply:
    """An answer with the fault's status; some of the odd ones carry the document."""
    status = int(fault.kind[:3])
    headers = {"content-type": "application/json"}
    asked = fault.retry_after()
    if asked is not None and (asked.isascii() or fault.arg % 2):
        headers |= {"retry-after": asked, "date": "Sun, 01 Mar 2026 12:00:00 GMT"}
    if fault.kind in REDIRECTS:
        return Reply(status, b"", {"location": "https://elsewhere.example/api/v1/"})
    if fault.kind in ODD_STATUSES:
        body = reply.body if reply is not None and status not in {204, 304} else b""
        return Reply(status, body, headers)
    if fault.kind.endswith("-html"):
        return Reply(status, HTML, {**headers, "content-type": "text/html"})
    return Reply(status, b'{"error": "something is wrong", "code": "SIMULATED"}', headers)
