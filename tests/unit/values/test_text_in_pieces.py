"""Text that comes in pieces: printed as it was, and never a command to a CI runner."""

import itertools
import random

import pytest

from tests.simulation import hostile
from tests.simulation.github_runner import commands, other_systems, steering
from tm_cli.values.text import TextInPieces

ROUNDS = 3000


def shown(*pieces):
    text = TextInPieces()
    return "".join(map(text.add, pieces))


@pytest.mark.parametrize(
    "text",
    [
        "  two blanks, \t a tab \n\n and an empty line ",
        "## Heading\n### [link](x) ##\n- a::b c::d\n:::\n",
        "C++: std::vector, 漢字 🎉 e\u0301",
    ],
)
def test_ordinary_text_is_printed_as_it_is(text):
    expected = text.replace(":::", ": ::")
    assert shown(text) == shown(*text) == expected


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        (("a\r\nb", "c\r", "\nd\re"), "a\nbc\nd\ne"),
        ((":", ":error::x"), ": :error::x"),
        (("x\n ", " :", ":error::x"), "x\n  : :error::x"),
        (("#", "#", "[error]x"), "## [error]x"),
        (("##team", "city", "[x]"), "##teamcity [x]"),
        (("#\u200b#", "\u200d[error]x"), "## [error]x"),
        (("\u202eabc\x1b[2J",), "abc [2J"),
        (("\ud800",), "\ufffd"),
    ],
)
def test_what_steers_a_terminal_or_a_runner_is_broken_up(pieces, expected):
    assert shown(*pieces) == expected


def test_nothing_is_obeyed_however_it_is_cut():
    chance = random.Random(7)
    for _ in range(ROUNDS):
        whole = "".join(hostile.text(chance) for _ in range(3))
        cuts = sorted(chance.randrange(len(whole) + 1) for _ in range(chance.randrange(5)))
        bounds = [0, *cuts, len(whole)]
        pieces = [whole[a:b] for a, b in itertools.pairwise(bounds)]
        found = shown(*pieces)
        assert [*commands(found), *other_systems(found)] == [], pieces
        assert [*steering(found.replace("\t", ""))] == [], pieces
