"""The key is hidden from the log before anything else, and is never an argument."""

from __future__ import annotations

import pytest

from tests.process.action.composite_runner import action
from tests.process.action.programs import make_recorder

pytestmark = pytest.mark.process

KEY = "tm_canary-7f3a9c51e2"


def test_masking_comes_first():
    first = action()["runs"]["steps"][0]
    assert "::add-mask::" in first["run"]
    assert set(first["env"]) == {"INPUT_API_KEY", "INPUT_COMMENT_TOKEN"}


def test_the_key_is_masked_and_shown_nowhere_else(make_runner, tmp_path):
    result = make_runner(make_recorder(tmp_path).path).run(profile="p", api_key=KEY)
    assert result.commands[0] == f"::add-mask::{KEY}"
    assert result.log.count(KEY) == 1


def test_the_key_is_no_argument_and_only_in_its_own_variable(make_runner, tmp_path):
    tm = make_recorder(tmp_path)
    make_runner(tm.path).run(profile="p", api_key=KEY, comment="true")
    for call in tm.calls():
        assert KEY not in str(call["words"])
        holders = {name for name, value in call["env"].items() if KEY in value}
        assert holders <= {"TM_API_KEY"}
    assert "TM_API_KEY" not in tm.call("report")["env"]


@pytest.mark.parametrize(
    ("key", "masked"),
    [
        ("100%-sure", ["100%25-sure"]),
        ("first-line\nsecond-line\n", ["first-line", "second-line"]),
        ("first-line\r\nsecond-line", ["first-line", "second-line"]),
        ("::stop-commands::x", ["::stop-commands::x"]),
        ("a\nb\nlong-enough", ["long-enough"]),
        ("  blanks around  ", ["  blanks around"]),
    ],
)
def test_every_line_of_a_key_is_masked(key, masked, make_runner, tmp_path):
    result = make_runner(make_recorder(tmp_path).path).run(profile="p", api_key=key)
    expected = [f"::add-mask::{line}" for line in [*masked, "ghs_0123456789"]]
    assert result.commands == expected


def test_no_key_masks_nothing(make_runner, tmp_path):
    result = make_runner(make_recorder(tmp_path).path).run(profile="p")
    assert result.commands == ["::add-mask::ghs_0123456789"]
