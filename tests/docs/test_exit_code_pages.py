"""Every page that lists exit codes lists those of the program."""

import pytest

from checks.pages import bare, page, rows, section
from tm_cli.exit_codes import ExitCode


def listed(text):
    return [(int(code), bare(name), meaning) for code, name, meaning, *_ in rows(text)]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(section("README.md", "Exit codes"), id="readme"),
        pytest.param(section("docs/exit-codes.md", "Exit codes"), id="exit-codes-page"),
    ],
)
def test_table_has_every_code_with_its_name_and_meaning(text):
    said = [(code, name, meaning.replace("`", "")) for code, name, meaning in listed(text)]
    assert said == [(int(code), code.name, code.meaning) for code in ExitCode]


def test_every_code_comes_with_the_advice_of_the_program():
    table = rows(section("docs/exit-codes.md", "Exit codes"))
    assert [row[3] for row in table] == [code.advice for code in ExitCode]


def test_code_numbers_of_the_error_tree_are_right():
    text = page("tm_cli/errors.py").partition('"""')[2].partition('"""')[0]
    for line in text.splitlines():
        words = line.split()
        if words and words[-1].isdigit() and words[0] != "Interrupted":
            assert ExitCode(int(words[-1])).name.lower() == words[1]
