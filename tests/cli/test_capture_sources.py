"""`tm captures sources` and `tm captures files`."""

from __future__ import annotations

import pytest

from tm_cli.exit_codes import ExitCode

LISTED = "2026-02-02T09:00:00Z"


def source(number, name, **changes):
    return {
        "id": number,
        "name": name,
        "kind": "S3",
        "rootPath": None,
        "lastListedAt": LISTED,
        "lastError": None,
        "createdAt": LISTED,
        "updatedAt": LISTED,
        **changes,
    }


SOURCES = [source(1, "logs"), source(2, "staging", kind="SFTP", lastError="login refused")]
FILES = [
    {"path": "new.jsonl", "size": 31732, "modifiedAt": LISTED},
    {"path": "old.jsonl", "size": -1, "modifiedAt": "1970-01-01T00:00:00Z"},
]


def test_sources_are_shown_with_their_last_error(gate, server):
    server.answer("GET", "/capture-sources", SOURCES)
    lines = gate("captures", "sources").stdout.splitlines()
    assert lines[1].split() == ["1", "logs", "S3", "-", "2026-02-02", "09:00:00Z", "-"]
    assert lines[2].endswith("login refused")


@pytest.mark.parametrize("name", ["2", "staging"])
def test_files_are_asked_for_by_name_or_id(gate, server, name):
    server.answer("GET", "/capture-sources", SOURCES)
    server.answer("GET", "/capture-sources/2/files", FILES, query={"limit": "100"})
    lines = gate("captures", "files", name).stdout.splitlines()
    assert lines[1].split() == ["new.jsonl", "31,732", "2026-02-02", "09:00:00Z"]
    assert lines[2].split() == ["old.jsonl", "-", "-"]


@pytest.mark.parametrize(("words", "limit"), [(("--limit", "7"), "7"), (("--all",), "1000")])
def test_the_server_is_asked_for_as_many_files_as_are_wanted(gate, server, words, limit):
    server.answer("GET", "/capture-sources", SOURCES)
    server.answer("GET", "/capture-sources/1/files", FILES, query={"limit": limit})
    assert gate("captures", "files", "logs", *words, "--json").json["data"] == FILES


def test_more_files_than_a_server_lists_are_refused_before_anything_is_sent(gate):
    result = gate("captures", "files", "logs", "--limit", "1001")
    assert result.exit_code == ExitCode.USAGE
    assert "at most 1000 files" in result.stderr


@pytest.mark.parametrize(
    ("known", "hint"),
    [(SOURCES, "did you mean logs?"), ([], "the server has none")],
)
def test_a_source_that_is_not_there_is_named(gate, server, known, hint):
    server.answer("GET", "/capture-sources", known)
    result = gate("captures", "files", "lgos")
    assert result.exit_code == ExitCode.REFUSED
    assert "there is no capture source 'lgos'" in result.stderr
    assert hint in result.stderr


def test_what_the_server_cannot_list_is_an_error_with_its_reason(gate, server):
    server.answer("GET", "/capture-sources", SOURCES)
    server.error("GET", "/capture-sources/1/files", 400, "Failed to list files: no such bucket")
    result = gate("captures", "files", "logs")
    assert result.exit_code == ExitCode.ERROR
    assert "Failed to list files: no such bucket" in result.stderr
