"""CI platforms and terminals are told apart by what they set."""

import io

import pytest

from tm_cli.doctor.configuration import check_platform, check_terminal
from tm_cli.runtime.ci_platform import PLATFORMS, ci_platform
from tm_cli.runtime.terminal import Terminal
from tm_cli.values.check_result import Status


@pytest.mark.parametrize(
    ("name", "variable"), [(name, one) for name, names in PLATFORMS.items() for one in names]
)
def test_each_platform_is_known_by_its_variable_even_without_ci(name, variable):
    assert ci_platform({variable: "x"}) == ci_platform({variable: "x", "CI": "true"}) == name
    assert ci_platform({variable: ""}) is None
    found = check_platform({variable: "x"})
    assert found.status is Status.OK
    assert found.text.startswith(name)


def test_an_unknown_platform_is_known_by_ci_alone():
    assert check_platform({"CI": "1"}).text.startswith("CI is set")
    assert check_platform({}).status is Status.SKIPPED


@pytest.mark.parametrize(
    ("encoding", "status"),
    [("utf-8", Status.OK), ("ascii", Status.WARNING), ("cp437", Status.WARNING)],
)
def test_a_terminal_that_cannot_draw_is_a_warning(encoding, status):
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    found = check_terminal(Terminal(stream, stream, width=120))
    assert found.status is status
    assert "120 columns" in found.text
    assert found.facts["encoding"] == encoding
