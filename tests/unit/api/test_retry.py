"""What may be repeated, and after how long."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tm_cli.api.errors import ConnectionFailed, HttpError, InvalidResponse
from tm_cli.api.retry import LONGEST_PAUSE, is_transient, pause_before_retry, read_retry_after

DATE = "Sun, 01 Mar 2026 12:00:00 GMT"


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        ("120", 120.0),
        ("999999999", LONGEST_PAUSE),
        ("Sun, 01 Mar 2026 12:00:30 GMT", 30.0),
        ("Sun, 01 Mar 2026 11:00:00 GMT", 0.0),
        ("Sun, 01 Mar 2026 12:00:30 -0000", 30.0),
        ("Mon, 01 Mar 9999 12:00:00 GMT", LONGEST_PAUSE),
        *[
            (bad, None)
            for bad in ("", "-1", "+5", "1.5", "1e3", "nan", "inf", "1_000", "١٢", "soon")
        ],
        ("9" * 400, None),
        ("Sun, 01 Mar 99999 12:00:00 GMT", None),
    ],
)
def test_retry_after_is_read_strictly_and_clamped(value, seconds):
    assert read_retry_after({"retry-after": value, "date": DATE}) == seconds


def test_date_is_compared_with_the_servers_own_clock():
    assert read_retry_after({"retry-after": DATE}) is None


@given(st.text())
def test_any_retry_after_is_harmless(value):
    seconds = read_retry_after({"retry-after": value, "date": DATE})
    assert seconds is None or 0 <= seconds <= LONGEST_PAUSE


@pytest.mark.parametrize(
    ("error", "nothing"),
    [
        (ConnectionFailed("x", maybe_sent=True), True),
        (InvalidResponse("x"), True),
        *[(HttpError("x", status=status), True) for status in (408, 425, 429, 500, 502, 503, 504)],
        *[(HttpError("x", status=status), False) for status in (400, 401, 403, 404, 409, 501)],
    ],
    ids=str,
)
def test_only_reads_that_is_transient_are_repeated(error, nothing):
    assert is_transient(error) is nothing


def test_pause_doubles_and_honours_the_server():
    plain = HttpError("x", status=503)
    asked = HttpError("x", status=429, retry_after=20.0)
    assert [pause_before_retry(plain, n) for n in range(3)] == [0.5, 1.0, 2.0]
    assert pause_before_retry(asked, 0) == 20.0
    assert pause_before_retry(plain, 99) == LONGEST_PAUSE
