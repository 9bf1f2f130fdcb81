"""Which streams get colour, redrawn lines and which width."""

from __future__ import annotations

import io
import ssl

import pytest

from tm_cli.render.tables import columns
from tm_cli.runtime.environment import Environment
from tm_cli.runtime.terminal import Terminal


class Tty(io.TextIOWrapper):
    def __init__(self, encoding: str = "utf-8") -> None:
        super().__init__(io.BytesIO(), encoding=encoding)

    def isatty(self) -> bool:
        return True


@pytest.fixture
def system(monkeypatch):
    def build(environ, *, tty=True):
        kind = Tty if tty else io.StringIO
        monkeypatch.setattr("sys.stdout", kind())
        monkeypatch.setattr("sys.stderr", kind())
        return Terminal.system(environ)

    return build


@pytest.mark.parametrize(
    ("environ", "tty", "live", "color"),
    [
        ({}, True, True, True),
        ({"NO_COLOR": "1"}, True, True, False),
        ({"CI": "true"}, True, False, True),
        ({"TF_BUILD": "True"}, True, False, True),
        ({"bamboo_buildKey": "A-B-1"}, True, False, True),
        ({"TERM": "dumb"}, True, False, False),
        ({}, False, False, False),
        ({"FORCE_COLOR": "1"}, False, False, True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False, False, False),
    ],
)
def test_what_a_terminal_shows(system, environ, tty, live, color):
    terminal = system(environ, tty=tty)
    assert (terminal.live, terminal.err_color, terminal.out_color) == (live, color, color)


def test_terminal_that_cannot_draw_bars_gets_lines(monkeypatch):
    monkeypatch.setattr("sys.stdout", Tty("ascii"))
    monkeypatch.setattr("sys.stderr", Tty("ascii"))
    assert Terminal.system({}).live is False


@pytest.mark.parametrize("columns", ["0", "-3", "x", ""])
def test_unusable_columns_leave_the_usual_width(system, columns):
    assert system({"COLUMNS": columns}).width > 0
    assert system({"COLUMNS": "132"}).width == 132


def test_piped_table_is_never_cut():
    long = "x" * 400
    assert columns(Terminal(None, None, width=20), ("NAME",), [(long,)]).endswith(long)


def test_table_on_a_terminal_wraps_inside_its_width():
    terminal = Terminal(None, None, out_is_terminal=True, width=20)
    lines = columns(terminal, ("NAME",), [("x" * 50,)]).splitlines()
    assert max(map(len, lines)) <= 20
    assert "".join(lines[1:]) == "x" * 50


def test_markup_and_escapes_in_a_cell_are_shown_as_text():
    text = columns(Terminal(None, None), ("NAME",), [("[red]x[/red]\x1b[31m",)])
    assert "[red]x[/red]" in text
    assert "\x1b" not in text


def test_secrets_of_tls_are_written_to_no_file(monkeypatch, tmp_path):
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "secrets"))
    Environment.system()
    assert ssl.create_default_context().keylog_filename is None
    assert not (tmp_path / "secrets").exists()
