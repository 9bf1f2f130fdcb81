"""Which row is ours: the rules of section 20.2 of the API contract, as tables."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tm_cli.backends.trafficmorph.correlation import (
    Row,
    RunIdentity,
    correlate,
    explain_missing,
    is_last_page,
)

ASKED = datetime(2026, 3, 1, 12, tzinfo=UTC)
OURS = RunIdentity("ours", ASKED, newest_before=10)


def row(row_id=11, run_id=None, seconds=0.0):
    started = None if seconds is None else ASKED + timedelta(seconds=seconds)
    return Row(row_id, run_id, started)


def test_exact_run_id_is_found_wherever_it_stands():
    scan = correlate([row(13, "theirs"), row(12, "ours"), row(11)], OURS)
    assert scan.exact == (1,)
    assert scan.foreign == ("theirs",)


@pytest.mark.parametrize("row_id", [10, 9, None])
def test_exact_id_on_a_row_from_before_the_start_is_not_ours(row_id):
    scan = correlate([row(row_id, "ours")], OURS)
    assert scan.exact == ()
    assert "was there before the start" in scan.refused[0]


def test_attached_run_may_have_ended_long_ago():
    assert correlate([row(3, "ours")], RunIdentity("ours", None, None)).exact == (0,)


def test_row_from_before_the_start_replaced_nothing():
    assert correlate([row(10, "theirs")], OURS).foreign == ()


def test_every_exact_match_is_reported():
    assert correlate([row(12, "ours"), row(11, "ours")], OURS).exact == (0, 1)


@pytest.mark.parametrize(
    ("seconds", "is_candidate"),
    [(-5.001, False), (-5, True), (0, True), (30, True), (30.001, False), (None, False)],
)
def test_legacy_window_is_closed_at_both_ends(seconds, is_candidate):
    scan = correlate([row(11, seconds=seconds)], OURS)
    assert (scan.legacy == (0,)) is is_candidate
    assert bool(scan.refused) is not is_candidate


@pytest.mark.parametrize(
    ("row_id", "newest_before", "is_candidate"),
    [(11, 10, True), (10, 10, False), (9, 10, False), (1, None, True), (None, None, False)],
)
def test_legacy_row_must_be_newer_than_the_snapshot(row_id, newest_before, is_candidate):
    scan = correlate([row(row_id)], RunIdentity("ours", ASKED, newest_before))
    assert (scan.legacy == (0,)) is is_candidate


def test_server_that_writes_run_ids_has_no_legacy_rows():
    named = RunIdentity("ours", ASKED, newest_before=10, rows_are_named=True)
    scan = correlate([row(11)], named)
    assert scan.legacy == ()
    assert "although this server writes them" in scan.refused[0]


def test_every_legacy_candidate_is_reported_newest_first():
    assert correlate([row(13), row(12)], OURS).legacy == (0, 1)


def test_attached_run_never_matches_a_legacy_row():
    assert correlate([row(13)], RunIdentity("ours", None, None)).legacy == ()


def test_run_without_id_matches_no_row_that_has_one():
    scan = correlate([row(12, "theirs"), row(11)], RunIdentity(None, ASKED, 10))
    assert (scan.exact, scan.legacy) == ((), (1,))


ROWS = st.lists(
    st.builds(
        row,
        st.none() | st.integers(1, 30),
        st.sampled_from([None, "", "ours ", "OURS", "theirs"]),
        st.none() | st.floats(-100, 100),
    )
)


@given(ROWS)
def test_nothing_but_our_exact_id_is_an_exact_match(rows):
    assert correlate(rows, OURS).exact == ()


@given(ROWS, st.integers(0, 30))
def test_exact_match_survives_any_company(rows, place):
    rows.insert(min(place, len(rows)), row(12, "ours"))
    scan = correlate(rows, OURS)
    assert [rows[position].run_id for position in scan.exact] == ["ours"]


@pytest.mark.parametrize(
    ("ids", "newest_before", "last"),
    [
        ([30, 29, 28], 10, False),
        ([30, 29], 10, True),
        ([30, 11, 10], 10, True),
        ([30, 11, 9], 10, True),
        ([30, 29, 28], None, False),
        ([30, 29, None], 10, False),
        ([], None, True),
    ],
)
def test_page_is_the_last_when_short_or_back_at_the_snapshot(ids, newest_before, last):
    rows = [row(row_id, "theirs") for row_id in ids]
    assert is_last_page(rows, RunIdentity("ours", ASKED, newest_before), size=3) is last


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([row(12, "theirs"), row(11, seconds=90)], "replaced"),
        ([row(11, seconds=90)], "90s too late"),
        ([], "not in the history (yet)"),
    ],
)
def test_most_informative_reason_is_given(rows, words):
    assert words in explain_missing(correlate(rows, OURS), OURS)


def test_attached_run_that_is_not_there_is_not_called_replaced():
    ours = RunIdentity("mistyped", None, None)
    reason = explain_missing(correlate([row(12, "theirs")], ours), ours)
    assert reason == "run mistyped is not in the history of this profile"
