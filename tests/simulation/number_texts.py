"""Numbers as servers could write them, and documents in which they stand."""

from __future__ import annotations

import re
from random import Random

from hypothesis import strategies as st

EXTREME = (
    "0", "-0", "-0.0", "-1", "5e-324", "1e-400", "1e-100", "-1e-100", "1e-50", "1e10", "1e15",
    "1e18", "9" * 20, "-" + "9" * 20, "1e50", "9" * 99, "1" + "0" * 100, "-1" + "0" * 100, "1e100",
    "-1e100", "1" + "0" * 101, "1e101", "1" + "0" * 308, "9" * 309, "-" + "9" * 309, "9" * 400,
    "1e308", "-1.7e308", "1e309", "1e400", "-1e400", "1e9999999999", "9" * 401, "9" * 5000,
    "-" + "9" * 5000, "0." + "1" * 5000,
)  # fmt: skip

NUMBERS = (
    st.sampled_from(EXTREME)
    | st.builds("{}{}".format, st.sampled_from(("", "-")), st.integers(90, 420).map("7".__mul__))
    | st.builds("{}e{}".format, st.floats(-9, 9), st.integers(-99_999, 99_999))
    | st.integers().map(str)
    | st.floats(allow_nan=False, allow_infinity=False).map(repr)
)
"""The text of a number, with a leaning towards those that something cannot hold."""

_NUMBER = re.compile(r"(?<=[:\[,])(\s*)-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?(?=\s*[,}\]])")


def with_numbers(text: str, chance: Random, numbers: list[str], *, share: float) -> str:
    """Put some of the numbers into this share of the places at which the JSON has one."""

    def replaced(found: re.Match[str]) -> str:
        return found[1] + chance.choice(numbers) if chance.random() < share else found[0]

    return _NUMBER.sub(replaced, text)
