"""How unevenly errors are distributed over a run: they come in incidents."""

from collections.abc import Sequence

from tm_cli.server.judge.facts import BlockCounts, RunFacts
from tm_cli.server.judge.statistics.distributions import binomial_tail

_ASSUMED_BLOCKS = 4  # of independent requests
_MOST = 0.8
_RISING = 0.7  # Spearman's correlation; chance exceeds it in 1 % of runs with twelve blocks
_FLAT = 1.2  # a curve whose busiest block has less than this many times the requests of the least


def dispersion(metric: str, run: RunFacts, other: RunFacts) -> float:
    """How many times the variance of independent requests the counts have, at least 1.

    Quasi-binomial (McCullagh and Nelder, 1989, section 4.5): Pearson's statistic over the blocks of
    both runs, each around its own mean. Few blocks say little, so independent requests count
    as so many further ones.
    """
    sides = [side for side in (_counted(metric, run), _counted(metric, other)) if len(side) > 1]
    everything = [pair for side in sides for pair in side]
    found = sum(count for count, _ in everything)
    requests = sum(completed for _, completed in everything)
    if not 0 < found < requests:
        return 1.0
    share = found / requests
    squares = sum(_squares(side) for side in sides) / (share * (1 - share))
    freedom = len(everything) - len(sides)
    return max(1.0, (squares + _ASSUMED_BLOCKS) / (freedom + _ASSUMED_BLOCKS))


def by_chance(
    run: RunFacts, other: RunFacts, now: int, before: int, clustered: float = 1.0
) -> float:
    """If nothing has changed, every incident hit either run in proportion to its requests.

    `clustered`: the dispersion, 1 if errors are independent.
    """
    both = run.completed + other.completed
    if not both:
        return 1.0
    return binomial_tail(now / clustered, (now + before) / clustered, run.completed / both)


def errors_follow_load(metric: str, run: RunFacts) -> bool:
    requests = [block.completed for block in run.block_counts]
    return follows_load(requests, [block.counts.get(metric, 0) for block in run.block_counts])


def follows_load(requests: Sequence[int], values: Sequence[float]) -> bool:
    """Whether blocks with more requests have higher values: then the load is the cause."""
    if len(requests) < 3 or max(requests) < _FLAT * min(requests):
        return False
    return _correlation(_ranks(requests), _ranks(values)) >= _RISING


def is_down_at_the_end(metric: str, run: RunFacts) -> bool:
    """Whether half of the last requests failed: maybe all that come would fail as well."""
    last = next((block for block in reversed(run.block_counts) if block.completed), None)
    return last is not None and 2 * last.counts.get(metric, 0) >= last.completed


def burst(metric: str, run: RunFacts) -> str | None:
    """The shortest part of the run with nearly all of them, if it is less than half of the run."""
    total = sum(block.counts.get(metric, 0) for block in run.block_counts)
    parts = [
        run.block_counts[start:end]
        for start in range(len(run.block_counts))
        for end in range(start + 1, len(run.block_counts) // 2 + start + 1)
    ]
    found = [part for part in parts if _count(metric, part) >= _MOST * total > 0]
    if not found:
        return None
    shortest = min(found, key=lambda part: (len(part), -_count(metric, part)))
    start, end = shortest[0].start, shortest[-1].end
    return f"{_count(metric, shortest)} of {total} in one stretch ({clock(start)} to {clock(end)})"


def _counted(metric: str, run: RunFacts) -> list[tuple[int, int]]:
    return [
        (block.counts.get(metric, 0), block.completed)
        for block in run.block_counts
        if block.completed
    ]


def _squares(side: Sequence[tuple[int, int]]) -> float:
    share = sum(count for count, _ in side) / sum(requests for _, requests in side)
    return sum((count - share * requests) ** 2 / requests for count, requests in side)


def _count(metric: str, part: Sequence[BlockCounts]) -> int:
    return sum(block.counts.get(metric, 0) for block in part)


def _ranks(values: Sequence[float]) -> list[float]:
    ordered = sorted(values)
    return [ordered.index(value) + (ordered.count(value) - 1) / 2 for value in values]


def _correlation(xs: Sequence[float], ys: Sequence[float]) -> float:
    middle = (len(xs) - 1) / 2
    pairs = [(x - middle, y - middle) for x, y in zip(xs, ys, strict=True)]
    both = sum(x * x for x, _ in pairs) * sum(y * y for _, y in pairs)
    return sum(x * y for x, y in pairs) / both**0.5 if both else 0.0


def clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02}"
