"""Interleaves the polls of several runs; an event stream can bring a poll forward."""

from __future__ import annotations

import heapq
import itertools
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

from tm_cli.gate.events import Decided, Event, Pause, RunStarted
from tm_cli.gate.lifecycle import Follow
from tm_cli.gate.policy import Gate, from_error
from tm_cli.runtime.clock import Clock
from tm_cli.runtime.signals import SignalReceived, let_decision_stand


class Wakeup:
    """Set for a run from any thread; only the loop that follows the runs waits for it."""

    def __init__(self) -> None:
        self._positions: set[int] = set()
        self._event = threading.Event()
        self._lock = threading.Lock()

    def set(self, position: int) -> None:
        """Say that a poll of the run at `position` may show something new."""
        with self._lock:
            self._positions.add(position)
            self._event.set()

    def wait(self, seconds: float, clock: Clock) -> bool:
        """Pause until it is set, at most for `seconds`; return whether it was."""
        return clock.wait(self._event, seconds)

    def drain(self) -> frozenset[int]:
        """Return the runs for which it was set since the last call."""
        with self._lock:
            taken = frozenset(self._positions)
            self._positions.clear()
            self._event.clear()
        return taken


def drive(
    follows: Sequence[Follow],
    gate: Gate,
    clock: Clock,
    *,
    fail_fast: bool = False,
    stop_on_interrupt: bool = False,
    at_once: int | None = None,
) -> Generator[tuple[int, Event], None, None]:
    """Follow all runs in one loop; yield each event with the position of its run.

    Every run ends in Decided, also when a signal arrives; an event whose handling it may have
    interrupted comes once more. With `fail_fast`, the first run that fails the gate ends the
    others. No more than `at_once` are under way at a time; the rest follow in order.
    """
    undecided = set(range(len(follows)))
    pending: tuple[int, Event] | None = None
    try:
        for position, event in _in_turn(follows, clock, at_once or len(follows)):
            pending = position, event
            yield pending
            if isinstance(event, Decided):
                undecided.discard(position)
            pending = None
            if fail_fast and isinstance(event, Decided) and event.decision.is_gated:
                break
        for position in sorted(undecided):
            pending = position, follows[position].abandon()
            yield pending
            undecided.discard(position)
            pending = None
    except SignalReceived as signal:
        if pending is not None and isinstance(pending[1], RunStarted | Decided):
            yield pending  # perhaps once more: neither a run nor an outcome may be lost
            if isinstance(pending[1], Decided):
                undecided.discard(pending[0])
        for position in sorted(undecided):
            follow = follows[position]
            error = signal.as_error(*follow.interrupted(stop=stop_on_interrupt))
            yield position, follow.decided(from_error(error, gate))


def consume(
    events: Generator[tuple[int, Event], None, None], handle: Callable[[int, Event], None]
) -> None:
    """Handle every event; a signal that arrives during that goes to the loop that made the event.

    After the last event everything is decided, and a signal changes nothing any more.
    """
    item = next(events, None)
    while item is not None:
        try:
            handle(*item)
            item = next(events, None)
        except SignalReceived as signal:
            try:
                item = events.throw(signal)
            except StopIteration:
                break
    let_decision_stand()


@dataclass(order=True, slots=True)
class _Turn:
    """When a run is next, at once after an event; ties go by `order`."""

    due: float
    order: int
    position: int = field(compare=False)
    earliest: float = field(compare=False)


def _in_turn(follows: Sequence[Follow], clock: Clock, at_once: int) -> Iterator[tuple[int, Event]]:
    order = itertools.count()
    steps = [follow.steps() for follow in follows]
    wakeup = _open_wakeup(follows)
    now, following = clock.monotonic(), iter(range(len(follows)))
    queue = [
        _Turn(now, next(order), position, now) for position in itertools.islice(following, at_once)
    ]
    while queue:
        if wakeup is not None:
            _bring_forward(queue, wakeup.drain())
        if _is_early(queue[0], clock, wakeup):
            continue
        position = heapq.heappop(queue).position
        for step in steps[position]:
            if isinstance(step, Pause):
                now = clock.monotonic()
                turn = _Turn(now + step.seconds, next(order), position, now + step.at_least)
                heapq.heappush(queue, turn)
                break
            yield position, step
        else:
            for started in itertools.islice(following, 1):
                now = clock.monotonic()
                heapq.heappush(queue, _Turn(now, next(order), started, now))


def _open_wakeup(follows: Sequence[Follow]) -> Wakeup | None:
    """Return what the backends set; None where none of them ever will."""
    wakeup = Wakeup()
    notified = [
        follow.notify_on_change(partial(wakeup.set, position))
        for position, follow in enumerate(follows)
    ]
    return wakeup if any(notified) else None


def _is_early(turn: _Turn, clock: Clock, wakeup: Wakeup | None) -> bool:
    """Pause until it is this run's turn; True when the wakeup was set first."""
    pause = turn.due - clock.monotonic()
    if pause <= 0:
        return False
    if wakeup is not None:
        return wakeup.wait(pause, clock)
    clock.sleep(pause)
    return False


def _bring_forward(queue: list[_Turn], positions: frozenset[int]) -> None:
    """Poll runs with events sooner."""
    for turn in queue:
        if turn.position in positions:
            turn.due = min(turn.due, turn.earliest)
    heapq.heapify(queue)
