"""What the workers of a crew did together, as events of one engine. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence

from tm_cli.server.crew.member import Member
from tm_cli.server.crew.merge import Merge
from tm_cli.server.crew.whole_plan import WholePlan
from tm_cli.server.engine.saturation import Flags
from tm_cli.server.engine_events import Addresses, Bucket, Event, Finished, Progress
from tm_cli.server.series import WIDTH

_SLACK = 10.0  # seconds by which a worker may be behind the others and behind its own requests


class Ledger:
    """Adds up what `members` tell; `request_timeout` is how long a request may wait, and last."""

    def __init__(
        self, members: Sequence[Member], plan: WholePlan, *, request_timeout: float
    ) -> None:
        self._members = members
        self._plan = plan
        self._merge = Merge(plan.in_bucket)
        self._kept = math.ceil((2 * request_timeout + _SLACK) / WIDTH)
        self._flags = Flags()

    def take(self, worker: int, bucket: Bucket) -> None:
        """A worker told of a bucket."""
        self._merge.take(worker, bucket)

    def raise_flags(self, flags: Flags) -> None:
        """What was raised once stays with the run."""
        self._flags = _any([self._flags, flags])

    def news(self) -> list[Bucket]:
        """The buckets that have changed since the last call."""
        return list(self._merge.changed())

    def round(self, now: float) -> list[Event]:
        """What is new, and where the run stands; some worker must be live."""
        live = [member for member in self._members if member.is_live]
        seconds = [member.second(now) for member in live]
        flags = _any(member.now_flags for member in live)
        progress = Progress(round(min(max(seconds), self._plan.end), 3), self._sent, flags)
        events: list[Event] = [*self.news(), *self._addresses(), progress]
        self._merge.forget_before(int(min(seconds) // WIDTH) - self._kept)
        return events

    def last_word(self, elapsed: float) -> list[Event]:
        """The end of a run, with what lost workers had told before they were lost."""
        finished = [member.finished for member in self._members if member.finished]
        planned = self._plan.before(elapsed)
        end = Finished(
            completed_curve=any(end.completed_curve for end in finished),
            elapsed=elapsed,
            planned=planned,
            sent=self._sent,
            completed=self._completed,
            shortfall=planned - self._sent,
            flags=self._flags,
        )
        return [*self.news(), *self._addresses(), end]

    def _addresses(self) -> list[Event]:
        """The requests of all workers by address; a worker that is lost told of them once."""
        sides: dict[int, Counter[str]] = {}
        for member in self._members:
            for side, requests in member.addresses.items():
                sides.setdefault(side, Counter()).update(requests)
        return [Addresses(side, dict(sorted(sides[side].items()))) for side in sorted(sides)]

    @property
    def _sent(self) -> int:
        """Requests sent as far as it is known; of a lost worker, what its buckets hold."""
        tallies = self._merge.tallies
        return sum(
            tallies[worker].sent if member.is_lost else member.sent
            for worker, member in enumerate(self._members)
        )

    @property
    def _completed(self) -> int:
        tallies = self._merge.tallies
        return sum(
            member.finished.completed if member.finished else tallies[worker].completed
            for worker, member in enumerate(self._members)
        )


def _any(flags: Iterable[Flags]) -> Flags:
    """Raised where it is raised in any of them."""
    every = list(flags)
    return Flags(
        generator_saturated=any(one.generator_saturated for one in every),
        downstream_saturated=any(one.downstream_saturated for one in every),
        flaky_dispatch=any(one.flaky_dispatch for one in every),
    )
