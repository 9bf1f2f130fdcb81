"""Every `tm` command line in pages and examples is one that the program takes."""

import re

import pytest
import yaml

from command_lines import check_names, parse
from markdown_pages import PAGES, ROOT, blocks, page, tm_words, without_blocks

EXAMPLES = ROOT / "examples"
SPAN = re.compile(r"`(tm [^`]+)`")


def in_blocks():
    for block in blocks("sh", "console", "text"):
        for line in block.text.splitlines():
            if block.language == "sh" or line.startswith("$ "):
                yield block.name, line


def in_prose():
    for path in PAGES:
        for found in SPAN.finditer(without_blocks(path.read_text(encoding="utf-8"))):
            if "..." not in found[1]:
                yield path.name, found[1]


def in_examples():
    for path in sorted(EXAMPLES.iterdir()):
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.lstrip().startswith(("tm ", "#   tm ", "run: tm ")):
                yield path.name, line.strip().lstrip("# ").removeprefix("run: ")


def in_workflows():
    for block in blocks("yaml"):
        if "- name:" in block.text or "jobs:" in block.text:
            for line in block.text.splitlines():
                yield block.name, line.strip().removeprefix("run: ")


def tm_lines(*sources):
    return [
        pytest.param(words, id=f"{place}: {' '.join(words)}")
        for source in sources
        for place, line in source
        if line.count("'") % 2 == 0 and line.count('"') % 2 == 0 and (words := tm_words(line))
    ]


LINES = tm_lines(in_blocks(), in_examples(), in_workflows())
MENTIONS = tm_lines(in_prose())


def test_there_are_command_lines_to_check():
    assert len(LINES) > 25
    assert len(MENTIONS) > 25


@pytest.mark.parametrize("words", LINES)
def test_command_line_is_taken(words):
    parse(words)


@pytest.mark.parametrize("words", MENTIONS)
def test_mentioned_command_and_its_flags_exist(words):
    check_names(words)


@pytest.mark.parametrize("words", [["runs", "begin"], ["runs", "start", "x", "--wiat"], ["-x"]])
def test_command_lines_that_do_not_exist_are_noticed(words):
    with pytest.raises(Exception, match=r"begin|wiat|-x"):
        parse(words)
    with pytest.raises((KeyError, AssertionError)):
        check_names(words)


def targets():
    for block in blocks("sh"):
        for line in block.text.splitlines():
            if line.startswith("make "):
                yield line.split()[1]


@pytest.mark.parametrize("target", sorted(set(targets())))
def test_make_target_exists(target):
    assert re.search(rf"^[\w ]*\b{target}\b[\w ]*:", page("Makefile"), re.MULTILINE)


@pytest.mark.parametrize("block", blocks("yaml"), ids=lambda block: block.name)
def test_yaml_example_can_be_read(block):
    assert yaml.safe_load(block.text)
