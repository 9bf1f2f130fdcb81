"""The settings page lists the settings of the program, and its examples can be read."""

from dataclasses import replace

import pytest

from checks.command_tree import leaves
from checks.pages import bare, blocks, page, rows, section
from tm_cli.settings import DEFINITIONS, load_settings
from tm_cli.values.durations import parse_duration

TABLE = {bare(row[0]): row[1:] for row in rows(section("docs/configuration.md", "All settings"))}
_, HEAD, REST = page("docs/configuration.md").partition("| Chosen by |")
ORDERS = rows(HEAD + REST.partition("\n\n")[0])
FLAGS = {flag for _, leaf in leaves() for option in leaf.params for flag in option.opts}


def test_page_lists_every_setting_in_order():
    assert list(TABLE) == list(DEFINITIONS)


@pytest.mark.parametrize("definition", DEFINITIONS.values(), ids=list(DEFINITIONS))
def test_row_says_what_the_definition_says(definition):
    variable, flag, default, meaning = TABLE[definition.name]
    assert bare(variable) == definition.variable
    assert bare(flag) == (definition.flag if definition.flag in FLAGS else "none")
    assert reads(default, definition)
    assert meaning.startswith(definition.help)


def reads(default, definition):
    """Whether the text of the default column means the definition's default."""
    match definition.default:
        case str() as text:
            return default == text
        case None:
            return default == ("auto" if definition.name == "poll_interval" else "none")
        case bool() as flag:
            return default == str(flag).lower()
        case int() as number:
            return int(default) == number
        case float() as seconds:
            return parse_duration(default) == seconds
    return False


def test_command_that_the_page_recommends_shows_every_setting(tm):
    result = tm("config", "show")
    assert result.exit_code == 0
    assert [line.split()[0] for line in result.stdout.splitlines()[1:]] == list(TABLE)


SETTINGS = [block for block in blocks("toml") if not block.text.startswith("# sources.toml")]


@pytest.mark.parametrize("block", SETTINGS, ids=lambda block: block.name)
def test_toml_example_is_a_usable_file(block, tmp_path):
    name = block.text.splitlines()[0].removeprefix("# ")
    (tmp_path / name).write_text(block.text, encoding="utf-8")
    if name == "config.toml":
        settings = load_settings({}, {}, cwd=tmp_path, user_dir=tmp_path)
        assert settings.contexts
        for context in settings.contexts:
            assert any(replace(settings, flags={"context": context}).layers[1].values)
        return
    settings = load_settings({}, {}, cwd=tmp_path, user_dir=tmp_path / "nobody")
    found = [settings[name] for name in DEFINITIONS]
    assert any(setting.origin.place == str(tmp_path / name) for setting in found)


CHOICES = {
    "`--context`": ({"context": "staging"}, {}, "", ""),
    "`TM_CONTEXT`": ({}, {"TM_CONTEXT": "staging"}, "", ""),
    "project file": ({}, {}, 'context = "staging"', ""),
    "user file": ({}, {}, "", 'context = "staging"'),
}


def test_every_way_to_choose_a_context_has_its_row():
    assert [row[0] for row in ORDERS] == list(CHOICES)


@pytest.mark.parametrize("row", ORDERS, ids=lambda row: row[0])
def test_order_of_a_chosen_context_is_the_one_on_the_page(row, tmp_path):
    flags, environ, project, user = CHOICES[row[0]]
    (tmp_path / "tm.toml").write_text(project, encoding="utf-8")
    (tmp_path / "config.toml").write_text(f"{user}\n[contexts.staging]\n", encoding="utf-8")
    settings = load_settings(flags, environ, cwd=tmp_path, user_dir=tmp_path)
    order = [layer.source.value for layer in settings.layers]
    assert order == row[1].replace("**", "").split(", ")
