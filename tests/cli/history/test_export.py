"""`tm history export`: every run once, whole files, and cells that spreadsheets do not evaluate."""

from __future__ import annotations

import csv
import errno
import json
import os

import pytest

from tests.cli.history.test_list import at, bound, listed
from tests.services.trafficmorph import detail, page, row
from tm_cli.exit_codes import ExitCode

EXPORT = ("history", "export")


def two_pages(server):
    first = [at(300 - n, 300 - n) for n in range(100)]
    listed(server, *first, total=130)
    listed(server, first[-1], *(at(200 - n, 200 - n) for n in range(30)), to=bound(201))
    return list(range(300, 170, -1))


def test_every_run_is_a_line(gate, server):
    expected = two_pages(server)
    result = gate(*EXPORT)
    assert [json.loads(line)["id"] for line in result.stdout.splitlines()] == expected
    assert result.stderr == "tm: exported 130 runs to standard output\n"


def test_file_is_named_by_its_suffix(gate, tm, server):
    found = row(latencyQuantiles='{"p95": 26.0}', latencyChanges={"p95": -3.25}, tags=["a", "b"])
    server.answer("GET", "/history", page(found))
    result = gate(*EXPORT, "--output", "runs.csv", "--json")
    assert result.json["data"] == {"file": "runs.csv", "format": "csv", "runs": 1}
    with (tm.cwd / "runs.csv").open(encoding="utf-8", newline="") as file:
        (shown,) = csv.DictReader(file)
    assert (shown["latencyQuantiles.p95"], shown["p95_change"]) == ("26.0", "-3.25")
    assert (shown["id"], shown["tags"], shown["commit"]) == ("7", "a b", "")


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\uff1d1", "\t=1"])
def test_cell_is_no_formula(gate, server, text):
    server.answer("GET", "/history", page(row(profileName=text)))
    cell = gate(*EXPORT, "--format", "csv", "--fields", "profileName").stdout.splitlines()[1]
    assert cell.startswith("'")


def test_fields_and_limit_are_those_of_the_list(gate, server):
    server.answer("GET", "/history", page(row(9), row(8), row(7)))
    result = gate(*EXPORT, "--fields", "id,auto_verdict", "--limit", "2")
    assert [json.loads(line) for line in result.stdout.splitlines()] == [
        {"id": 9, "autoVerdict": "PASS"},
        {"id": 8, "autoVerdict": "PASS"},
    ]


def test_details_are_read_run_by_run(gate, server):
    server.answer("GET", "/history", page(row(8), row(7)))
    server.answer("GET", "/history/8", detail(8)).error("GET", "/history/7", 400, "not found")
    lines = [json.loads(line) for line in gate(*EXPORT, "--details").stdout.splitlines()]
    assert lines[0]["responseCodes"] == {"200": 597, "503": 3}
    assert lines[1]["id"] == 7  # deleted in between


def left(tm):
    return sorted(item.name for item in tm.cwd.iterdir())


def test_failure_leaves_the_file_as_it_was(gate, tm, server):
    (tm.cwd / "runs.jsonl").write_text("before\n", encoding="utf-8")
    listed(server, *(at(300 - n, 300 - n) for n in range(100)), total=130)
    server.error("GET", "/history", 403, "trial_expired")
    result = gate(*EXPORT, "--output", "runs.jsonl")
    assert result.exit_code not in {ExitCode.OK, ExitCode.INTERNAL}
    assert left(tm) == ["runs.jsonl"]
    assert (tm.cwd / "runs.jsonl").read_text(encoding="utf-8") == "before\n"


def test_failure_on_standard_output_says_where_to_go_on(gate, server):
    listed(server, *(at(300 - n, 300 - n) for n in range(100)), total=130)
    server.error("GET", "/history", 403, "trial_expired")
    result = gate(*EXPORT)
    assert len(result.stdout.splitlines()) == 100
    assert "hint: 100 runs were printed; `--to 2026-03-01T12:03:21+00:00` goes on" in result.stderr


def test_full_disk_leaves_nothing_and_ends_with_73(gate, tm, server, monkeypatch):
    def full(_descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    server.answer("GET", "/history", page(row()))
    monkeypatch.setattr(os, "fsync", full)
    result = gate(*EXPORT, "--output", "runs.csv")
    assert result.exit_code == ExitCode.OUTPUT
    assert "cannot write runs.csv: No space left on device" in result.stderr
    assert left(tm) == []


@pytest.mark.parametrize("output", ["missing/runs.csv", "."])
def test_file_that_cannot_be_made_is_said(gate, output):
    result = gate(*EXPORT, "--output", output)
    assert result.exit_code == ExitCode.OUTPUT
    assert f"cannot write {output}: " in result.stderr


def test_json_without_a_file_is_a_usage_error(gate):
    assert gate(*EXPORT, "--json").exit_code == ExitCode.USAGE
