"""The settings page lists the settings of the program, and its examples can be read."""

import pytest

from command_lines import leaves
from markdown_pages import bare, blocks, rows, section
from tm_cli.durations import parse_duration
from tm_cli.settings import DEFINITIONS, load_settings

TABLE = {bare(row[0]): row[1:] for row in rows(section("docs/configuration.md", "All settings"))}
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
        case None:
            return default == ("auto" if definition.name == "poll_interval" else "none")
        case bool() as flag:
            return default == str(flag).lower()
        case float() as seconds:
            return parse_duration(default) == seconds
    return False


def test_command_that_the_page_recommends_shows_every_setting(tm):
    result = tm("config", "show")
    assert result.exit_code == 0
    assert [line.split()[0] for line in result.stdout.splitlines()[1:]] == list(TABLE)


@pytest.mark.parametrize("block", blocks("toml"), ids=lambda block: block.name)
def test_toml_example_is_a_usable_project_file(block, tmp_path):
    name = block.text.splitlines()[0].removeprefix("# ")
    (tmp_path / name).write_text(block.text, encoding="utf-8")
    settings = load_settings({}, {}, cwd=tmp_path, user_dir=tmp_path / "nobody")
    found = [settings[name] for name in DEFINITIONS]
    assert any(setting.origin.place == str(tmp_path / name) for setting in found)
