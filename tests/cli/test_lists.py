"""What every `list` has in common: how much it shows, which fields, and in which form."""

from __future__ import annotations

import json

import pytest

from tm_cli.exit_codes import ExitCode

PROFILES = [{"id": n, "name": f"shop {n}", "createdAt": None} for n in (1, 2, 3)]
LIST = ("profiles", "list")


def test_limit_says_how_much_is_left_out(gate, server):
    server.answer("GET", "/profiles", PROFILES)
    result = gate(*LIST, "--limit", "2")
    assert "shop 2" in result.stdout
    assert "shop 3" not in result.stdout
    assert "2 of 3 profiles; --limit and --all show more" in result.stderr


def test_all_shows_everything_and_says_nothing_more(gate, server):
    server.answer("GET", "/profiles", PROFILES)
    result = gate(*LIST, "--all")
    assert "shop 3" in result.stdout
    assert result.stderr == ""


def test_empty_list_says_so(gate, server):
    server.answer("GET", "/profiles", [])
    assert "tm: no profiles" in gate(*LIST).stderr


@pytest.mark.parametrize("names", ["name,id", "NAME, ID", "name,id,name"])
def test_fields_choose_the_columns_in_their_order(gate, server, names):
    server.answer("GET", "/profiles", PROFILES[:1])
    assert gate(*LIST, "--fields", names).stdout.split() == ["NAME", "ID", "shop", "1", "1"]


def test_fields_choose_the_keys_of_json(gate, server):
    server.answer("GET", "/profiles", PROFILES[:1])
    found = gate(*LIST, "--fields", "created_at,id", "--json").json["data"]
    assert found == [{"createdAt": None, "id": 1}]


@pytest.mark.parametrize("form", [(), ("--json",), ("--jsonl",)])
def test_unknown_field_lists_the_valid_ones_before_anything_is_sent(tm, form):
    environ = {"TM_BASE_URL": "http://127.0.0.1:9", "TM_API_KEY": "tm_x"}
    result = tm(*LIST, "--fields", "id,nmae", *form, environ=environ)
    assert result.exit_code == ExitCode.USAGE
    assert "there is no field 'nmae'; did you mean name?" in result.stderr
    assert "hint: the fields are: id, name, createdAt" in result.stderr


def test_json_lines_are_one_object_each(gate, server):
    server.answer("GET", "/profiles", PROFILES)
    result = gate(*LIST, "--jsonl", "--limit", "2")
    assert [json.loads(line) for line in result.stdout.splitlines()] == PROFILES[:2]
    assert result.stderr == ""


def test_no_json_lines_are_no_output(gate, server):
    server.answer("GET", "/profiles", [])
    result = gate(*LIST, "--jsonl")
    assert (result.exit_code, result.stdout, result.stderr) == (ExitCode.OK, "", "")


def test_error_of_json_lines_is_no_line(gate, server):
    server.error("GET", "/profiles", 403, "trial_expired")
    result = gate(*LIST, "--jsonl")
    assert result.exit_code not in {ExitCode.OK, ExitCode.INTERNAL}
    assert result.stdout == ""
    assert "trial_expired" in result.stderr


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--all", "--limit", "3"), "--all and --limit exclude each other"),
        (("--json", "--jsonl"), "--json and --jsonl exclude each other"),
        (("--limit", "0"), "--limit"),
        (("--fields", ""), "there is no field ''"),
    ],
)
def test_contradiction_is_a_usage_error(tm, flags, message):
    environ = {"TM_BASE_URL": "http://127.0.0.1:9", "TM_API_KEY": "tm_x"}
    result = tm(*LIST, *flags, environ=environ)
    assert result.exit_code == ExitCode.USAGE
    assert message in result.stderr


def test_all_fields_of_the_longest_list_are_named(tm):
    environ = {"TM_BASE_URL": "http://127.0.0.1:9", "TM_API_KEY": "tm_x"}
    stderr = tm("history", "list", "--fields", "pp", environ=environ).stderr
    assert stderr.endswith("p95, p95_change, commit, branch\n"), stderr
