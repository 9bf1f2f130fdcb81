"""The help of every command: readable at any width, with examples that can be copied."""

from __future__ import annotations

import re
import shlex

import pytest

from checks.command_tree import command, leaves, parse
from tests.services.trafficmorph import page as page_of_history
from tm_cli.cli.help_page import HelpPage, choices_of, describe, paragraphs
from tm_cli.exit_codes import ExitCode

COMMANDS = [pytest.param(words, node, id=" ".join(words)) for words, node in leaves()]
FIRST_PAGE = {"page": "0", "size": "20"}
LONGEST_WORD = 30
"""Columns; a narrower screen cannot hold a longer word beside an option's name."""


def page(words, node, width):
    lines = HelpPage(width).render(" ".join(("tm", *words)), node, []).splitlines()
    examples = lines.index("Examples:") if "Examples:" in lines else len(lines)
    return lines[:examples], lines[examples + 1 :]


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize(("words", "node"), COMMANDS)
def test_no_line_is_wider_than_the_screen(words, node, width):
    lines, _examples = page(words, node, width)
    too_long = [line for line in lines if len(line) > width]
    assert all(len(line.split()[-1]) > LONGEST_WORD for line in too_long)


@pytest.mark.parametrize(("words", "node"), COMMANDS)
def test_options_are_not_cut_and_show_neither_types_nor_ranges(words, node):
    lines, _examples = page(words, node, 80)
    text = "\n".join(lines)
    for option in node.params:
        if option.param_type_name == "option" and not option.hidden:
            shown = option.opts[0] if not option.secondary_opts else option.opts[0][2:]
            assert shown in text
    assert "\N{HORIZONTAL ELLIPSIS}" not in text
    assert not re.search(r"<\w+>|<=x|list\[", text)
    assert "\N{NO-BREAK SPACE}" not in text


@pytest.mark.parametrize(("words", "node"), COMMANDS)
def test_examples_are_whole_lines_that_the_program_takes(words, node):
    _lines, examples = page(words, node, 60)
    assert [line.strip() for line in examples] == paragraphs(node)[1]
    for line in examples:
        assert line.startswith("  tm ")
        parse(shlex.split(line.partition(" < ")[0])[1:])


@pytest.mark.parametrize(("words", "node"), COMMANDS)
def test_every_command_says_what_it_does_and_every_option_what_it_means(words, node):
    texts, _examples = paragraphs(node)
    assert texts[0].endswith(".")
    for option in node.params:
        assert option.hidden if option.param_type_name == "option" and not option.help else True


@pytest.mark.parametrize(("words", "node"), COMMANDS)
def test_the_words_of_a_choice_are_listed_once(words, node):
    for parameter in node.params:
        if words_of_it := choices_of(parameter):
            text = describe(parameter).text.casefold()
            assert any(text.count(word.casefold()) == 1 for word in words_of_it), text


def test_tm_alone_prints_its_help_and_succeeds(tm, capsys):
    assert tm().exit_code == ExitCode.OK
    alone = capsys.readouterr()
    assert tm("--help").exit_code == ExitCode.OK
    assert alone == capsys.readouterr()
    assert alone.out.startswith("Usage: tm COMMAND")


@pytest.mark.parametrize("words", [("runs",), ("benchmarks", "job")], ids=" ".join)
def test_a_group_alone_may_be_a_gate_that_lost_its_words(tm, capsys, words):
    assert tm(*words).exit_code == ExitCode.USAGE
    assert capsys.readouterr().out.startswith("Usage: " + " ".join(("tm", *words, "COMMAND")))


def test_options_without_a_command_are_a_mistake(tm):
    assert tm("--json").exit_code == ExitCode.USAGE
    assert tm("runs", "--json").exit_code == ExitCode.USAGE


def test_sections_of_a_gate_stand_in_order():
    lines, _examples = page(("runs", "start"), command().commands["runs"].commands["start"], 80)
    headings = [line for line in lines if re.fullmatch(r"[A-Z]\w+:", line)]
    assert headings[0] == "Arguments:"
    assert headings[-1] == "Global:"
    assert {"Gate:", "Waiting:", "Comparison:", "Reports:", "Load:"} <= set(headings)


def test_choices_are_listed_from_the_declaration():
    lines, _examples = page(("auth", "login"), command().commands["auth"].commands["login"], 80)
    assert "trafficmorph, runloop or strait." in " ".join("\n".join(lines).split())


def test_headings_are_bold_where_the_screen_can_show_it():
    node = command().commands["version"]
    bold = HelpPage(80, bold=True).render("tm version", node, [])
    assert "\x1b[1mGlobal:\x1b[0m" in bold
    assert bold.replace("\x1b[1m", "").replace("\x1b[0m", "") == HelpPage(80).render(
        "tm version", node, []
    )


def test_a_word_that_is_not_a_choice_is_refused_in_plain_words(tm):
    result = tm("runs", "start", "42", "--on-interrupt", "wait")
    assert result.exit_code == ExitCode.USAGE
    assert "--on-interrupt': 'wait' is not one of 'detach', 'stop'" in result.stderr


def test_choices_are_accepted_in_either_case(gate, server):
    server.answer("GET", "/history", page_of_history(), query={"autoVerdict": "FAIL", **FIRST_PAGE})
    assert gate("history", "list", "--verdict", "fail").exit_code == ExitCode.OK
