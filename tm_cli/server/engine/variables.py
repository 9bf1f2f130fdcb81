"""The values that one arrival takes from the data sets.

They depend on the number of the arrival alone. So workers that share a curve take each row of
SEQUENTIAL data once without talking to each other, and the two requests of a pair of an A/B run
get the same values.
"""

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate

from tm_cli.values.load.data_sets import DataSet

_64_BITS = (1 << 64) - 1


class VisitorVariables:
    """The values of the macros for each arrival; `sides` arrivals in a row get the same ones.

    Where several data sets have a column of the same name, the first one counts.
    `shared` are those of all arrivals, until they are renewed.
    """

    def __init__(
        self,
        data: Sequence[DataSet],
        *,
        seed: int = 0,
        sides: int = 1,
        shared: Mapping[str, str] | None = None,
    ) -> None:
        self._shared = dict(shared or {})
        self.names = frozenset(column for each in data for column in each.columns).union(
            self._shared
        )
        self._sides = sides
        samplers = [_sampler(each, seed + (index << 32)) for index, each in enumerate(data)]
        self._samplers = samplers[::-1]  # what comes later replaces

    def of(self, number: int) -> dict[str, str]:
        """The values of the arrival with this number of the curve; the caller may change them."""
        visitor = number // self._sides
        values = self._shared.copy()
        for sample in self._samplers:
            values.update(sample(visitor))
        return values

    def renew(self, values: Mapping[str, str]) -> None:
        """Give later arrivals other shared values; new names are ignored."""
        self._shared.update((name, values[name]) for name in self._shared.keys() & values.keys())


Sampler = Callable[[int], Mapping[str, str]]


def _sampler(data: DataSet, seed: int) -> Sampler:
    if data.mode == "COLUMN":
        return _columns(data, seed)
    columns, rows = data.columns, data.rows
    choose = _weighted_choice(data.weights[columns[0]], seed) if data.mode == "ROW" else None

    def row(visitor: int) -> Mapping[str, str]:
        index = choose(visitor) if choose else visitor % len(rows)
        return dict(zip(columns, rows[index], strict=True))

    return row


def _columns(data: DataSet, seed: int) -> Sampler:
    even = (1.0,) * len(data.rows)
    choices = [
        (place, column, _weighted_choice(data.weights.get(column, even), seed + 1 + place))
        for place, column in enumerate(data.columns)
    ]

    def values(visitor: int) -> Mapping[str, str]:
        return {column: data.rows[choose(visitor)][place] for place, column, choose in choices}

    return values


def _weighted_choice(weights: Sequence[float], seed: int) -> Callable[[int], int]:
    """Choose an index with a probability in proportion to its weight."""
    sums = list(accumulate(weights))
    last = len(sums) - 1

    def choose(visitor: int) -> int:
        return min(bisect_right(sums, _draw(seed, visitor) * sums[-1]), last)

    return choose


def _draw(seed: int, number: int) -> float:
    """A number from 0 to 1 that looks random: the mixing function of SplitMix64."""
    mixed = (seed * 0xD1342543DE82EF95 + (number + 1) * 0x9E3779B97F4A7C15) & _64_BITS
    mixed = ((mixed ^ mixed >> 30) * 0xBF58476D1CE4E5B9) & _64_BITS
    mixed = ((mixed ^ mixed >> 27) * 0x94D049BB133111EB) & _64_BITS
    return (mixed ^ mixed >> 31) / 2**64
