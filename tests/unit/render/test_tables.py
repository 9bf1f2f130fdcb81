"""Tables on terminals that are too narrow for them."""

from __future__ import annotations

import io

import pytest

from tm_cli.gate.model import Comparison
from tm_cli.render.comparisons import comparison_table
from tm_cli.render.tables import columns, listed
from tm_cli.runtime.terminal import Terminal

HEAD = ("ID", "PROFILE", "RUN")
ROWS = [(1, "checkout", "6f0d2c1e-8a4b-4c39-9d51-0c8d5a3c7b21"), (2, None, None)]
REGRESSION = Comparison(
    "p95", "ms", 26.0, 20.0, 30.0, 24.5, 35.5, 0.0004, 4.2, 5.0, 15.0, "FAIL", significant=True
)


def terminal(width, *, out_is_terminal=True):
    return Terminal(io.StringIO(), io.StringIO(), width=width, out_is_terminal=out_is_terminal)


def test_narrow_terminal_does_without_the_least_column_and_says_so():
    lines = columns(terminal(40), HEAD, ROWS, least=("RUN",)).splitlines()
    assert [line.split() for line in lines[:3]] == [
        ["ID", "PROFILE"],
        ["1", "checkout"],
        ["2", "-"],
    ]
    assert lines[3] == "hidden columns: RUN (widen the terminal)"


@pytest.mark.parametrize("screen", [terminal(80), terminal(10, out_is_terminal=False)])
def test_wide_terminals_and_pipes_keep_every_column(screen):
    lines = columns(screen, HEAD, ROWS, least=("RUN",)).splitlines()
    assert len(lines) == 3
    assert lines[1].endswith("6f0d2c1e-8a4b-4c39-9d51-0c8d5a3c7b21")


def test_columns_go_one_by_one_and_no_further_than_needed():
    shown = columns(terminal(20), HEAD, ROWS, least=("RUN", "PROFILE"))
    assert "checkout" in shown
    shown = columns(terminal(10), HEAD, ROWS, least=("RUN", "PROFILE"))
    assert shown.splitlines()[-1] == "hidden columns: PROFILE, RUN (widen the terminal)"


def test_table_without_rows_is_its_head():
    assert columns(terminal(40), HEAD, [], least=("RUN",)).split() == list(HEAD)


def test_limits_stay_longer_than_intervals():
    table = comparison_table(terminal(70), [REGRESSION], names=("THIS RUN", "BASELINE"))
    assert "WARN / FAIL" in table
    assert "5 / 15" in table
    assert "hidden columns: 95 % INTERVAL, P (widen" in table


def test_list_is_a_table_where_it_fits_and_blocks_where_it_does_not():
    assert listed(terminal(80), HEAD, ROWS) == columns(terminal(80), HEAD, ROWS)
    assert listed(terminal(20), HEAD, ROWS).splitlines() == [
        "1  checkout",
        "    6f0d2c1e-8a4b-4c39-9d51-0c8d5a3c7b21",
        "2  -",
        "    -",
    ]
    assert len(listed(terminal(20, out_is_terminal=False), HEAD, ROWS).splitlines()) == 3
