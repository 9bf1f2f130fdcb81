"""Calls in one process: what one was told is not known to the next."""

from __future__ import annotations

import pytest

from tm_cli.exit_codes import ExitCode

WORDS = ["config", "show"]


@pytest.mark.parametrize("place", range(3))
@pytest.mark.parametrize("option", ["--base-url=nonsense", "--context=nowhere", "--timeout=soon"])
def test_option_of_one_call_is_none_of_the_next(tm, place, option):
    wrong = [*WORDS[:place], option, *WORDS[place:]]
    assert tm(*wrong).exit_code in {ExitCode.USAGE, ExitCode.CONFIGURATION}
    assert tm(*WORDS).exit_code == ExitCode.OK


@pytest.mark.parametrize("place", range(3))
def test_document_that_one_call_asked_for_is_not_printed_by_the_next(tm, place):
    assert tm(*WORDS[:place], "--json", *WORDS[place:]).stdout.startswith("{")
    assert not tm(*WORDS).stdout.startswith("{")
