"""A bell that cuts a pause short: whoever hears news of a run rings it."""

from __future__ import annotations

import heapq
import itertools
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

from tm_cli.gate.events import Decided, Event, Pause, Started
from tm_cli.gate.lifecycle import Follow
from tm_cli.gate.policy import Gate, from_error
from tm_cli.runtime.clock import Clock
from tm_cli.runtime.signals import SignalReceived, let_decision_stand


class Bell:
    """Rung for a run from any thread; only the loop that follows the runs waits for it."""

    def __init__(self) -> None:
        self._rung: set[int] = set()
        self._event = threading.Event()
        self._lock = threading.Lock()

    def ring(self, position: int) -> None:
        """Say that a look at the run at `position` may show something new."""
        with self._lock:
            self._rung.add(position)
            self._event.set()

    def wait(self, seconds: float, clock: Clock) -> bool:
        """Pause until it rings, at most for `seconds`; return whether it did."""
        return clock.wait(self._event, seconds)

    def take(self) -> frozenset[int]:
        """Return for whom it has rung since it was last asked."""
        with self._lock:
            taken = frozenset(self._rung)
            self._rung.clear()
            self._event.clear()
        return taken


def drive(
    follows: Sequence[Follow],
    gate: Gate,
    clock: Clock,
    *,
    fail_fast: bool = False,
    stop_on_interrupt: bool = False,
) -> Generator[tuple[int, Event], None, None]:
    """Follow all runs in one loop; yield each event with the position of its run.

    Every run ends in Decided, also when a signal arrives; what it may have interrupted the telling
    of comes once more. With `fail_fast`, the first run that fails the gate ends the others.
    """
    undecided = set(range(len(follows)))
    telling: tuple[int, Event] | None = None
    try:
        for position, event in _in_turn(follows, clock):
            telling = position, event
            yield telling
            if isinstance(event, Decided):
                undecided.discard(position)
            telling = None
            if fail_fast and isinstance(event, Decided) and event.decision.is_gated:
                break
        for position in sorted(undecided):
            telling = position, follows[position].abandon()
            yield telling
            undecided.discard(position)
            telling = None
    except SignalReceived as signal:
        if telling is not None and isinstance(telling[1], Started | Decided):
            yield telling  # perhaps once more: neither a run nor an outcome may be lost
            if isinstance(telling[1], Decided):
                undecided.discard(telling[0])
        for position in sorted(undecided):
            follow = follows[position]
            error = signal.as_error(*follow.interrupted(stop=stop_on_interrupt))
            yield position, follow.decided(from_error(error, gate))


def consume(
    events: Generator[tuple[int, Event], None, None], handle: Callable[[int, Event], None]
) -> None:
    """Handle every event; a signal that arrives meanwhile goes to the loop that made the event.

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
    """When a run is next, at the earliest when there is news; ties go by `order`."""

    due: float
    order: int
    position: int = field(compare=False)
    earliest: float = field(compare=False)


def _in_turn(follows: Sequence[Follow], clock: Clock) -> Iterator[tuple[int, Event]]:
    order = itertools.count()
    steps = [follow.steps() for follow in follows]
    bell = _bell(follows)
    now = clock.monotonic()
    queue = [_Turn(now, next(order), position, now) for position in range(len(follows))]
    while queue:
        if bell is not None:
            _hasten(queue, bell.take())
        if _is_early(queue[0], clock, bell):
            continue
        position = heapq.heappop(queue).position
        for step in steps[position]:
            if isinstance(step, Pause):
                now = clock.monotonic()
                turn = _Turn(now + step.seconds, next(order), position, now + step.at_least)
                heapq.heappush(queue, turn)
                break
            yield position, step


def _bell(follows: Sequence[Follow]) -> Bell | None:
    """Return a bell that the systems ring; None where none of them does."""
    bell = Bell()
    rings = [
        follow.announce_to(partial(bell.ring, position)) for position, follow in enumerate(follows)
    ]
    return bell if any(rings) else None


def _is_early(turn: _Turn, clock: Clock, bell: Bell | None) -> bool:
    """Pause until it is this run's turn; True when it rang meanwhile."""
    pause = turn.due - clock.monotonic()
    if pause <= 0:
        return False
    if bell is not None:
        return bell.wait(pause, clock)
    clock.sleep(pause)
    return False


def _hasten(queue: list[_Turn], positions: frozenset[int]) -> None:
    """Bring forward the runs that there is news of."""
    for turn in queue:
        if turn.position in positions:
            turn.due = min(turn.due, turn.earliest)
    heapq.heapify(queue)
