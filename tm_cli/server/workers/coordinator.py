"""How several workers are led: who works on which share, who is lost, when it is over. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tm_cli.server.workers.aggregate import Ledger, Member, WholePlan
from tm_cli.server.workers.engine_events import (
    Addresses,
    Bucket,
    Event,
    Failed,
    Finished,
    Note,
    Paused,
    Progress,
    Ready,
    Resumed,
    Started,
)

MUSTER = 10.0
"""Seconds in which a worker has to get ready."""
SILENCE = 3.0
"""Seconds without a word after which a worker counts as lost, if there are others."""
NOTICE = 1.0
"""Curve seconds that a change of shares is announced ahead."""
_ROUND = 1.0


@dataclass(frozen=True, slots=True)
class Order:
    """A command for one worker; `kill` is for its process, everything else for its engine."""

    worker: int
    command: str
    details: dict[str, object] = field(default_factory=dict)


class Foreman:
    """Leads workers by what they say. Nothing here waits: `now` are monotonic seconds.

    What is to be done is taken out of `orders`, what is to be told about the run out of `events`.
    """

    def __init__(
        self, names: Sequence[str], plan: WholePlan, *, request_timeout: float, now: float
    ) -> None:
        self.orders: list[Order] = []
        self.events: list[Event] = []
        self.is_over = False
        self._members = [Member(name, now) for name in names]
        self._plan = plan
        self._ledger = Ledger(self._members, plan, request_timeout=request_timeout)
        self._began = now
        self._told_at = self._looked_at = now
        self._has_gone = False
        self._has_started = False
        self._is_paused = False
        self._is_stopping = False
        self._last_reason = "there is none"

    def order(self, command: str) -> None:
        """Pass `pause`, `resume` or `stop` on to all; before the start it is remembered."""
        if command == "stop":
            self._is_stopping = True
        else:
            self._is_paused = command == "pause"
        if self._has_gone:
            self._tell_all(command)
        elif self._is_stopping:
            self._conclude(0.0)

    def hear(self, worker: int, event: Event, now: float) -> None:
        """A worker said something; of a lost one only its results still count."""
        member = self._members[worker]
        member.hear(now)
        if isinstance(event, Bucket):
            self._ledger.take(worker, event)
        elif member.is_live and not self.is_over:
            self._follow(worker, event, now)

    def lose(self, worker: int, reason: str, now: float) -> None:
        """A worker is gone; what it had to do goes to the others."""
        member = self._members[worker]
        if not member.is_live or self.is_over:
            return
        member.is_lost = True
        self._last_reason = reason
        self.orders.append(Order(worker, "kill"))
        if not self._has_gone:
            self.events.append(Note(f"worker {member.name} did not take part: {reason}"))
            self._muster(now)
            return
        self.events.append(Note(self._share_anew(member, reason, now)))
        self._conclude_if_done()

    def look(self, now: float) -> None:
        """Look for silence, and tell what is new; to be called several times a second."""
        if self.is_over:
            return
        self._forgive_own_absence(now)
        if not self._has_gone:
            self._muster(now)
            return
        for worker, member in enumerate(self._members):
            others = any(other.is_live for other in self._members if other is not member)
            silence = now - member.heard_at
            if member.is_live and others and silence > SILENCE:
                self.lose(worker, f"not a word for {silence:.1f} s", now)
        if now - self._told_at >= _ROUND and not self.is_over:
            self._told_at = now
            self.events += self._ledger.round(now)

    def _follow(self, worker: int, event: Event, now: float) -> None:
        member = self._members[worker]
        match event:
            case Ready():
                member.is_ready = True
                self._muster(now)
            case Started():
                member.stand(0.0, now, is_moving=not self._is_paused)
                if not self._has_started:
                    self._has_started = True
                    self.events.append(event)
            case Progress():
                member.stand(event.elapsed, now, is_moving=not self._is_paused)
                member.sent, member.now_flags = event.sent, event.flags
                self._ledger.raise_flags(event.flags)
            case Addresses():
                member.addresses[event.side] = event.requests
            case Paused() | Resumed():
                member.stand(event.elapsed, now, is_moving=isinstance(event, Resumed))
                self.events.append(event)
            case Finished():
                self._end(worker, event, now)
            case Failed():
                self.lose(worker, event.message, now)

    def _end(self, worker: int, event: Finished, now: float) -> None:
        """A worker came to its end; too early for the curve, it leaves a share behind."""
        member = self._members[worker]
        member.finished, member.sent = event, event.sent
        self._ledger.raise_flags(event.flags)
        if not (event.completed_curve or self._is_stopping):
            reason = "it ended before the curve did"
            self.events.append(Note(self._share_anew(member, reason, now)))
        self._conclude_if_done()

    def _muster(self, now: float) -> None:
        """Go once all who are left are ready, or time is up for the others."""
        waiting = [w for w, m in enumerate(self._members) if m.is_live and not m.is_ready]
        if waiting and now - self._began < MUSTER:
            return
        if waiting:  # losing one comes back here for the next
            self.lose(waiting[0], f"it was not ready within {MUSTER:g} s", now)
        elif any(member.is_live for member in self._members):
            self._go(now)
        else:
            self._fail(f"no worker took part: {self._last_reason}")

    def _go(self, now: float) -> None:
        self._has_gone = True
        if any(member.is_lost for member in self._members):
            self._assign_shares(0.0)
        if self._is_paused:
            self._tell_all("pause")
        self._tell_all("go")
        for member in self._members:
            member.heard_at = now

    def _share_anew(self, gone: Member, reason: str, now: float) -> str:
        """Give the share of a worker to the others; return the sentence that says so."""
        second = max(member.second(now) for member in self._members)
        start = round(second + NOTICE, 3)
        lost = f"worker {gone.name} was lost at second {second:.1f} ({reason})"
        others = sum(member.is_live for member in self._members)
        if not others or self._is_stopping or start >= self._plan.end:
            return f"{lost}; nobody took over what was left of its share"
        self._assign_shares(start)
        return f"{lost}; its share moved to {_workers(others)} at second {start:.1f}"

    def _assign_shares(self, second: float) -> None:
        live = [worker for worker, member in enumerate(self._members) if member.is_live]
        for index, worker in enumerate(live):
            details: dict[str, object] = {"index": index, "count": len(live), "from": second}
            self.orders.append(Order(worker, "share", details))

    def _tell_all(self, command: str) -> None:
        live = [worker for worker, member in enumerate(self._members) if member.is_live]
        self.orders += [Order(worker, command) for worker in live]

    def _conclude_if_done(self) -> None:
        if self.is_over or any(member.is_live for member in self._members):
            return
        ends = [member.finished.elapsed for member in self._members if member.finished]
        if ends:
            self._conclude(max(ends))
        else:
            self._fail(f"all workers were lost, the last one: {self._last_reason}")

    def _conclude(self, elapsed: float) -> None:
        self.events += self._ledger.last_word(elapsed)
        self.is_over = True

    def _fail(self, message: str) -> None:
        self.events += [*self._ledger.news(), Failed(message)]
        self.is_over = True

    def _forgive_own_absence(self, now: float) -> None:
        """Nobody was silent while nobody listened: this process was held up."""
        absence = now - self._looked_at
        self._looked_at = now
        if absence > _ROUND:
            for member in self._members:
                member.hear(now)


def _workers(count: int) -> str:
    return f"{count} other" if count == 1 else f"{count} others"
