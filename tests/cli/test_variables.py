"""Variables sets at the command line: what is checked before it is sent, and how one is named."""

import io
import sys
from types import SimpleNamespace

import pytest

from tm_cli.exit_codes import ExitCode

SET = {
    "id": 3,
    "name": "users",
    "mode": "ROW",
    "macroColumns": ["user", "city"],
    "weightColumn": "weight",
    "rowCount": 2,
    "byteSize": 1239,
    "createdAt": "2026-03-01T12:00:00Z",
    "updatedAt": "2026-03-02T12:00:00Z",
}
CSV = "user,city,weight\nann,Rome,5\nbob,Oslo,1\n"


@pytest.fixture
def written(tm):
    def write(text, name="users.csv"):
        (tm.cwd / name).write_bytes(text if isinstance(text, bytes) else text.encode())
        return name

    return write


def test_sets_are_listed(gate, server):
    server.answer("GET", "/variables-sets", [SET])
    result = gate("variables", "list")
    assert result.stdout.splitlines() == [
        "ID  NAME   MODE  ROWS  BYTES  MACROS      UPDATED",
        "3   users  ROW   2     1,239  user, city  2026-03-02 12:00:00Z",
    ]


@pytest.mark.parametrize("by", ["3", "users", " USERS "])
def test_a_set_is_shown_by_id_or_name(gate, server, by):
    path, answer = ("/variables-sets/3", SET) if by == "3" else ("/variables-sets", [SET])
    server.answer("GET", path, answer)
    result = gate("variables", "show", by)
    assert "$$user$$, $$city$$" in result.stdout


def test_a_name_of_two_sets_is_refused(gate, server):
    """A server may compare names otherwise, and the wrong set must not be deleted."""
    server.answer("GET", "/variables-sets", [SET, {**SET, "id": 4, "name": "Users"}])
    result = gate("variables", "delete", "users", "--yes")
    assert result.exit_code == ExitCode.REFUSED
    assert "2 variables sets are named 'users'" in result.stderr
    assert "use an id: 3, 4" in result.stderr


def test_blanks_that_a_server_keeps_are_part_of_a_name(gate, server):
    server.answer("GET", "/variables-sets", [{**SET, "name": "users\xa0"}, {**SET, "id": 4}])
    assert gate("variables", "show", "users", "--json").json["data"]["id"] == 4


def test_json_of_a_set_is_what_the_server_has(gate, server):
    server.answer("GET", "/variables-sets/3", SET)
    assert gate("variables", "show", "3", "--json").json["data"] == SET


@pytest.mark.parametrize(
    ("by", "message", "hint"),
    [("9", "no variables set 9", "`tm variables list`"), ("user", "'user'", "did you mean users?")],
)
def test_a_set_that_is_not_there_is_named(gate, server, by, message, hint):
    if by == "9":
        server.error("GET", "/variables-sets/9", 400, "Variables set not found")
    else:
        server.answer("GET", "/variables-sets", [SET])
    result = gate("variables", "delete", by, "--yes", "--json")
    assert result.exit_code == ExitCode.REFUSED
    assert result.json["error"]["code"] == "unknown_variables_set"
    assert message in result.json["error"]["message"]
    assert hint in result.json["error"]["hint"]


@pytest.mark.parametrize(
    ("argv", "body"),
    [
        ((), {"name": "users", "mode": "ROW"}),
        (("--name", " people ", "--mode", "column"), {"name": "people", "mode": "COLUMN"}),
    ],
)
def test_a_file_becomes_a_set(gate, server, written, argv, body):
    server.answer("POST", "/variables-sets", SET, code=201, body={**body, "csvContent": CSV})
    result = gate("variables", "create", written("\ufeff" + CSV), *argv)
    assert result.stdout == "created variables set 3: users (ROW, 2 rows, user, city)\n"


def test_standard_input_becomes_a_set(gate, server, monkeypatch):
    csv = "user\nann\n"
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(csv.encode())))
    body = {"name": "users", "mode": "SEQUENTIAL", "csvContent": csv}
    server.answer("POST", "/variables-sets", SET, code=201, body=body)
    assert gate("variables", "create", "-", "--name", "users").exit_code == ExitCode.OK


@pytest.mark.parametrize(
    ("text", "argv", "message"),
    [
        (CSV.replace("1", "0"), (), "users.csv: line 3, column weight: '0'; a weight is"),
        (CSV + "eve,Bonn\n", (), "users.csv: line 4 has 2 values; line 1 names 3 columns"),
        ("user\nann\n", ("--mode", "ROW"), "users.csv: mode ROW needs a column `weight`"),
        ("", (), "users.csv: it is empty"),
        (b"user\n\xff\n", (), "users.csv: is not UTF-8 text, line 2"),
        (b"user\n" + b"x\n" * 2_000_001, (), "users.csv: is longer than 4,000,000 bytes"),
    ],
)
def test_a_file_that_cannot_be_sampled_is_not_sent(gate, written, text, argv, message):
    result = gate("variables", "create", written(text), *argv)
    assert result.exit_code == ExitCode.CONFIGURATION
    assert message in result.stderr
    assert "nothing was sent" in result.stderr


@pytest.mark.parametrize(
    ("argv", "code", "message"),
    [
        (("create", "absent.csv"), ExitCode.CONFIGURATION, "cannot read absent.csv: No such file"),
        (("create", "."), ExitCode.CONFIGURATION, "cannot read ."),
        (("create", "a\0b"), ExitCode.CONFIGURATION, "cannot read"),
        (("create", "-", "--name", " "), ExitCode.USAGE, "1 to 120 characters"),
        (("create", "-"), ExitCode.USAGE, "--name is missing"),
        (("rename", "3", "n" * 121), ExitCode.USAGE, "1 to 120 characters"),
        (("mode", "3", "any"), ExitCode.USAGE, "'any' is not one of"),
        (("show", " "), ExitCode.USAGE, "SET is empty"),
        (("show", "0"), ExitCode.USAGE, "invalid id 0"),
    ],
)
def test_a_mistake_sends_nothing(gate, monkeypatch, argv, code, message):
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(CSV.encode())))
    result = gate("variables", *argv)
    assert (result.exit_code, message in result.stderr) == (code, True), result.stderr


def test_a_set_is_changed(gate, server):
    server.answer("GET", "/variables-sets/3", SET)
    renamed = {**SET, "name": "people"}
    server.answer("PATCH", "/variables-sets/3", renamed, body={"name": "people"})
    assert (
        gate("variables", "rename", "3", "people").stdout == "renamed variables set 3 to people\n"
    )
    server.answer("GET", "/variables-sets/3", SET)
    changed = {**SET, "mode": "SEQUENTIAL"}
    server.answer("PATCH", "/variables-sets/3/mode", changed, body={"mode": "SEQUENTIAL"})
    result = gate("variables", "mode", "3", "sequential")
    assert result.stdout == "users is sampled by SEQUENTIAL now\n"


def test_a_set_is_deleted_once_that_is_confirmed(gate, server):
    server.answer("GET", "/variables-sets/3", SET)
    assert "--yes is required" in gate("variables", "delete", "3").stderr
    server.answer("GET", "/variables-sets/3", SET).answer("DELETE", "/variables-sets/3", code=204)
    result = gate("variables", "delete", "3", "--yes", "--json")
    assert result.json["data"] == {"variables_set_id": 3}


def test_a_refused_change_says_what_was_attempted(gate, server):
    server.answer("GET", "/variables-sets/3", SET)
    attached = 'Can\'t delete "users": it is attached to shop'
    server.error("DELETE", "/variables-sets/3", 400, attached)
    result = gate("variables", "delete", "3", "--yes")
    assert result.exit_code == ExitCode.REFUSED
    assert f"cannot delete the variables set 'users': {attached}" in result.stderr


def test_a_profile_is_shown_with_its_sets(gate, server):
    server.profile(variablesSetIds=[3, 5])
    assert "variables sets 3, 5" in gate("profiles", "show", "42").stdout
