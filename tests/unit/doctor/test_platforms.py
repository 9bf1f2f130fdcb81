"""CI platforms and terminals are told apart by what they set."""

import io

import pytest

from tm_cli.doctor.configuration import PLATFORMS, check_platform, check_terminal, platform_of
from tm_cli.runtime.terminal import Terminal
from tm_cli.values.check_result import Status


@pytest.mark.parametrize(("name", "variable"), PLATFORMS.items())
def test_each_platform_is_known_by_its_variable(name, variable):
    assert platform_of({variable: "true", "CI": "true"}) == name
    found = check_platform({variable: "true", "CI": "true"})
    assert found.status is Status.OK
    assert found.text.startswith(name)


def test_an_unknown_platform_is_known_by_ci_alone():
    assert check_platform({"CI": "1"}).text.startswith("CI is set")
    assert check_platform({}).status is Status.SKIPPED


def test_a_platform_that_does_not_set_ci_is_a_warning():
    found = check_platform({"JENKINS_URL": "http://jenkins/"})
    assert found.status is Status.WARNING
    assert "CI=true" in found.fix


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
