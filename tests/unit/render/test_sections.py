"""A page that is too long loses its least important parts first, and says which."""

from __future__ import annotations

import pytest

from tm_cli.render.formats.markdown import Section, joined

HEAD = Section("the outcome", 0, "### FAIL: é" * 3)
PAGE = [HEAD, Section("tables", 3, "t" * 400), Section("charts", 5, "c" * 400)]


def test_everything_stays_where_there_is_room():
    assert joined(PAGE) == f"{HEAD.text}\n\n{'t' * 400}\n\n{'c' * 400}\n"
    assert joined(PAGE, 10_000) == joined(PAGE)


def test_highest_rank_goes_first_and_is_named():
    text = joined(PAGE, 600)
    assert "t" * 400 in text
    assert "ccc" not in text
    assert "takes no more: charts." in text


def test_of_one_rank_the_last_goes_first():
    page = [HEAD, Section("a", 3, "a" * 400), Section("b", 3, "b" * 400)]
    assert "aaa" in joined(page, 600)
    assert "bbb" not in joined(page, 600)


@pytest.mark.parametrize("limit", [100, 200, 500, 900])
def test_no_page_is_longer_than_its_limit(limit):
    page = [Section("the outcome", 0, "\n".join(f"### FAIL: run {n}" for n in range(90))), *PAGE]
    text = joined(page, limit)
    assert len(text.encode()) <= limit
    assert "Left out" in text
