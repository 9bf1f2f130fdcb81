"""One loop for any number of runs: whoever is due next takes a step."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Generator, Iterator, Sequence

from tm_cli.clock import Clock
from tm_cli.gate.events import Decided, Event, Pause
from tm_cli.gate.flow import Follow
from tm_cli.gate.policy import Gate, from_error
from tm_cli.signals import SignalReceived, let_decision_stand


def drive(
    follows: Sequence[Follow],
    gate: Gate,
    clock: Clock,
    *,
    fail_fast: bool = False,
    stop_on_interrupt: bool = False,
) -> Generator[tuple[int, Event], None, None]:
    """Follow all runs in one loop; yield each event with the position of its run.

    Every run ends in Decided, also when a signal arrives. With `fail_fast`, the first run that
    fails the gate ends the others.
    """
    undecided = set(range(len(follows)))
    try:
        for position, event in _in_turn(follows, clock):
            if isinstance(event, Decided):
                undecided.discard(position)
            yield position, event
            if fail_fast and isinstance(event, Decided) and event.decision.is_gated:
                break
        for position in sorted(undecided):
            undecided.discard(position)
            yield position, follows[position].abandon()
    except SignalReceived as signal:
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
            if item is not None and isinstance(item[1], Decided):
                handle(*item)  # once more: this outcome must not be lost
            try:
                item = events.throw(signal)
            except StopIteration:
                break
    let_decision_stand()


def _in_turn(follows: Sequence[Follow], clock: Clock) -> Iterator[tuple[int, Event]]:
    order = itertools.count()
    steps = [follow.steps() for follow in follows]
    now = clock.monotonic()
    queue = [(now, next(order), position) for position in range(len(follows))]
    while queue:
        due, _, position = heapq.heappop(queue)
        if (pause := due - clock.monotonic()) > 0:
            clock.sleep(pause)
        for step in steps[position]:
            if isinstance(step, Pause):
                heapq.heappush(queue, (clock.monotonic() + step.seconds, next(order), position))
                break
            yield position, step
