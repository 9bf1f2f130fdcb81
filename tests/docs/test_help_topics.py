"""`tm help`: topics that cannot go stale, and the help of commands."""

import re

import pytest

from checks.pages import ROOT
from tm_cli.commands.help import FORMATS, NOT_SETTINGS, TOPICS, VERDICTS
from tm_cli.commands.shared.report_sinks import Format
from tm_cli.exit_codes import ExitCode
from tm_cli.settings import DEFINITIONS, Source
from tm_cli.settings.definitions import OTHER_VARIABLES
from tm_cli.values.verdict import Verdict

READ = re.compile(r"""environ(?:\.get\(|\[)\s*["']([A-Z][A-Z0-9_]+)["']""")


def test_without_words_the_topics_are_listed(tm):
    result = tm("help")
    assert result.exit_code == ExitCode.OK
    assert [line.split()[0] for line in result.stdout.splitlines()[1:7]] == list(TOPICS)
    assert tm("help", "--json").json["data"].keys() == TOPICS.keys()


@pytest.mark.parametrize("topic", TOPICS)
def test_topic_is_printed_on_standard_output(tm, topic):
    result = tm("help", topic)
    assert result.exit_code == ExitCode.OK
    assert len(result.stdout.splitlines()) > 10
    assert result.stderr == ""
    document = tm("help", topic, "--json").json["data"]
    assert document == {"topic": topic, "text": result.stdout.rstrip("\n")}


@pytest.mark.parametrize("code", ExitCode, ids=lambda code: code.name)
def test_exit_codes_are_all_explained(tm, code):
    (line,) = (
        line
        for line in tm("help", "exit-codes").stdout.splitlines()
        if line.split()[:2] == [str(int(code)), code.name]
    )
    assert code.meaning in line
    assert code.advice in line


def test_environment_lists_every_setting(tm):
    text = tm("help", "environment").stdout
    for definition in DEFINITIONS.values():
        assert re.search(rf"^{definition.variable} +\S", text, re.MULTILINE)


def test_environment_lists_every_variable_that_the_program_reads(tm):
    text = tm("help", "environment").stdout
    files = [
        path
        for path in (ROOT / "tm_cli").rglob("*.py")
        if "server" not in path.relative_to(ROOT).parts
    ]
    read = {name for path in files for name in READ.findall(path.read_text(encoding="utf-8"))}
    assert {"CI", "NO_COLOR"} <= read
    named = {name for name in read if re.search(rf"^{name} ", text, re.MULTILINE)}
    of_platforms = {name for name in read if name.startswith(("GITHUB_", "CI_"))}
    assert read - named - of_platforms <= {"PATH", "PYTHONPATH", "SYSTEMROOT"}
    assert {name for name in NOT_SETTINGS if name.startswith("TM_")} == OTHER_VARIABLES
    assert not NOT_SETTINGS.keys() & {definition.variable for definition in DEFINITIONS.values()}


def test_configuration_lists_settings_and_sources(tm):
    text = tm("help", "configuration").stdout
    assert all(re.search(rf"^{name} ", text, re.MULTILINE) for name in DEFINITIONS)
    assert all(source.value in text for source in Source)


def test_every_report_format_is_explained():
    assert {item.value for item in Format} <= FORMATS.keys()


def test_every_verdict_is_explained():
    assert VERDICTS.keys() == set(Verdict)


def test_words_of_a_command_print_its_help(tm, capsys):
    assert tm("help", "runs", "start").exit_code == ExitCode.OK
    assert "tm runs start" in capsys.readouterr().out
    text = tm("help", "runs", "start", "--json").json["data"]["text"]
    assert "tm runs start checkout --wait" in text


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["exit-code"], "tm help exit-codes"),
        (["benchmark"], "tm help benchmarks"),
        (["runs", "strat"], "tm help runs start"),
        (["zzz"], "`tm help` lists the topics"),
    ],
)
def test_a_mistyped_word_gets_a_hint(tm, words, hint):
    result = tm("help", *words)
    assert result.exit_code == ExitCode.USAGE
    assert hint in result.stderr
