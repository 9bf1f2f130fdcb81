"""The generated page of commands is complete, current and the same on every terminal."""

import importlib.util
import sys

import pytest

from command_lines import leaves
from markdown_pages import ROOT, page

VISIBLE = [pytest.param(leaf, id=" ".join(words)) for words, leaf in leaves() if not leaf.hidden]


@pytest.fixture
def reference(monkeypatch):
    """The script as a module."""
    path = ROOT / "scripts" / "reference.py"
    spec = importlib.util.spec_from_file_location("reference", path)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "reference", module)  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_page_is_up_to_date(reference):
    assert reference.main(["--check"]) == 0, "run `make docs`"


def test_page_does_not_depend_on_the_terminal(reference, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert reference.page() == page("docs/commands.md")


def test_other_arguments_are_refused(reference):
    assert reference.main(["--chekc"]) == 64


@pytest.mark.parametrize("leaf", VISIBLE)
def test_command_has_help(leaf):
    assert leaf.help.strip()


@pytest.mark.parametrize("leaf", VISIBLE)
def test_every_visible_option_has_help(leaf):
    for parameter in leaf.params:
        assert parameter.help or parameter.hidden, parameter.name


@pytest.mark.parametrize("leaf", VISIBLE)
def test_command_that_takes_arguments_shows_an_example(leaf):
    if any(item.param_type_name == "argument" for item in leaf.params):
        assert "\n\ntm " in leaf.help
