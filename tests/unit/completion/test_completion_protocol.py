"""What the shells' scripts hand over and read back."""

import pytest

from tm_cli.completion import Candidate
from tm_cli.completion.candidates import Completions
from tm_cli.completion.shells import SCRIPTS, Shell, read_typed, write_completions
from tm_cli.exit_codes import ExitCode

HOSTILE = ["$(rm -rf ~)", "`id`", "a;b", "it's", 'say "x"', "a b", "x*", "$HOME", "a\\b", "a|b&c"]


def written(shell, values, words):
    typed = read_typed(shell, words)
    found = Completions(tuple(Candidate(value, "a note") for value in values))
    return write_completions(shell, found, typed, words).splitlines()


@pytest.mark.parametrize("shell", Shell)
def test_script_is_printed_and_names_its_shell(tm, shell):
    result = tm("completion", shell.value)
    assert result.exit_code == ExitCode.OK
    assert f"completion {shell.value}" in result.stdout
    assert "eval" not in "".join(SCRIPTS[shell].splitlines()[2:])


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_words_are_answered_with_values_and_notes(tm, shell):
    result = tm("completion", shell, "--", "runs", "sta")
    first, *lines = result.stdout.splitlines()
    assert first == ":none"
    assert [line.split("\t")[0] for line in lines] == ["start", "status"]
    assert "Start one or more runs" in lines[0]


def test_bash_hands_over_a_line(tm):
    assert tm("completion", "bash", "--", "tm runs sta", "=:").stdout.splitlines()[1:] == [
        "start",
        "status",
    ]


def test_powershell_marks_the_last_word_that_may_be_empty(tm):
    assert tm("completion", "powershell", "--", "completion", "+").stdout.splitlines()[1:] == [
        "bash\t", "zsh\t", "fish\t", "powershell\t",
    ]  # fmt: skip


@pytest.mark.parametrize("value", HOSTILE)
def test_bash_gets_nothing_that_it_would_expand(value):
    (line,) = written(Shell.BASH, [value], ["tm runs start "])[1:]
    assert line.replace("\\\\", "").count("\\") + line.count("\\\\") >= 1
    unescaped, escaped = "", False
    for character in line:
        special = character in "$`;'\" *|&()\\~<>{}[]!#?"
        assert escaped or not special or character == "\\"
        unescaped += character if escaped or character != "\\" else ""
        escaped = character == "\\" and not escaped
    assert unescaped == value


@pytest.mark.parametrize(
    ("line", "value", "expected"),
    [
        ("tm x --report json=ga", "json=gate.json", "gate.json"),
        ("tm x --report=json=ga", "--report=json=gate.json", "gate.json"),
        ("tm x --report js", "json=", "json="),
        ("tm x 'che", "check out", "check out"),
        ('tm x "che', 'che$k "out"', 'che\\$k \\"out\\"'),
        ("tm x search:e", "search:eu", "eu"),
    ],
)
def test_bash_gets_the_part_that_it_replaces(line, value, expected):
    assert written(Shell.BASH, [value], [line, " \t\n\"'@><=;|&(:"])[1] == expected


def test_without_a_colon_among_the_breaks_the_whole_word_is_replaced():
    assert written(Shell.BASH, ["search:eu"], ["tm x search:e", "="])[1] == "search:eu"


def test_powershell_gets_literal_strings():
    assert written(Shell.POWERSHELL, ["it's $x"], ["x", "+"])[1] == "'it''s $x'\ta note"


def test_values_with_line_breaks_or_escapes_are_left_out():
    assert written(Shell.ZSH, ["a\nb", "\x1b[2J", "ok"], [""])[1:] == ["ok\ta note"]


def test_bugs_are_no_business_of_whoever_types(tm):
    (tm.cwd / "tm.toml").write_text("fail_on = [", encoding="utf-8")
    result = tm("completion", "zsh", "--", "runs", "start", "x")
    assert (result.exit_code, result.stderr) == (0, "")
