"""How a run is named: history id, run id, the beginning of one, or the latest."""

from __future__ import annotations

import io

import pytest

from tests.services.trafficmorph import OTHER_RUN, RUN, page, row
from tm_cli.exit_codes import ExitCode


def searched(server, text, *rows, number=0, **query):
    query = {"runId": text.lower(), "size": "100", "page": str(number), **query}
    return server.answer("GET", "/history", page(*rows), query=query)


def shown(gate, text):
    result = gate("history", "show", text, "--json")
    return result.json["data"]["id"] if result.exit_code == ExitCode.OK else result


@pytest.mark.parametrize("text", [RUN, RUN[:4], RUN[:13].upper()])
def test_run_id_and_its_beginning_name_a_run(gate, server, text):
    searched(server, text, row(8, runId=OTHER_RUN), row(7)).detail(7)
    assert shown(gate, text) == 7


def test_whole_run_id_is_no_beginning_of_another(gate, server):
    searched(server, RUN, row(8, runId=RUN + "-2"), row(7)).detail(7)
    assert shown(gate, RUN) == 7


def test_latest_is_the_newest_run(gate, server):
    server.answer("GET", "/history", page(row()), query={"size": "1", "page": "0"}).detail(7)
    assert shown(gate, "latest") == 7


def test_latest_of_a_profile_is_its_newest_run(gate, server):
    server.answer("GET", "/profiles", [{"id": 42, "name": "checkout"}])
    query = {"size": "1", "page": "0", "profileId": "42"}
    server.answer("GET", "/history", page(row()), query=query).detail(7)
    assert shown(gate, "latest:checkout") == 7


def test_ambiguous_beginning_lists_the_candidates(gate, server):
    searched(server, "6f0d2c1e", row(8, runId="6f0d2c1e-0000"), row(7))
    result = shown(gate, "6f0d2c1e")
    assert result.exit_code == ExitCode.ERROR
    assert result.json["error"]["code"] == "ambiguous_run"
    assert "several runs have an id that begins with '6f0d2c1e'" in result.stderr
    assert "8 (6f0d2c1e-0000, checkout, 2026-03-01 12:00:01Z); 7 (6f0d2c1e-8a4b" in result.stderr


@pytest.mark.parametrize(
    ("text", "rows"), [("abcd", ()), ("abcd", (row(7),)), ("latest", ())], ids=str
)
def test_run_that_is_not_there_is_an_error(gate, server, text, rows):
    server.answer("GET", "/history", page(*rows))
    result = shown(gate, text)
    assert result.exit_code == ExitCode.ERROR
    assert result.json["error"]["code"] == "unknown_run"


def test_digits_with_a_leading_zero_are_the_beginning_of_a_run_id(gate, server):
    searched(server, "0042", row(7, runId="0042" + RUN[4:])).answer(
        "DELETE", "/history/7", code=204
    )
    result = gate("history", "delete", "0042", "--yes")
    assert result.stdout == "deleted run 7 from the history\n"


@pytest.mark.parametrize(
    "text", ["abc", "", "0", str(2**63), "latest:", "newest:checkout", "a:bcde"]
)
def test_what_names_no_run_sends_nothing(gate, text):
    assert shown(gate, text).exit_code == ExitCode.USAGE


def long_history(server):
    for n in range(10):
        found = [row(2000 - 100 * n - m, runId=f"0000-{n}-{m}") for m in range(100)]
        if n == 0:
            found[3] = row(7)
        searched(server, "6f0d", *found, number=n)


def test_search_on_a_server_that_does_not_search_is_bounded(gate, server):
    long_history(server)
    server.detail(7)
    assert shown(gate, "6f0d") == 7


def test_run_is_not_deleted_by_a_beginning_that_may_be_that_of_others(gate, server):
    long_history(server)
    result = gate("history", "delete", "6f0d", "--yes")
    assert result.exit_code == ExitCode.ERROR
    assert "use a history id: 7 (6f0d2c1e" in result.stderr


@pytest.mark.parametrize("is_capped", [False, True])
def test_run_is_not_deleted_while_a_further_page_may_have_another_one(gate, server, is_capped):
    """Pages that overlap by a row, and pages that are smaller than was asked for."""
    of_page = 50 if is_capped else 100
    times = [f"2026-03-01T12:{m // 60:02}:{m % 60:02}Z" for m in reversed(range(2 * of_page + 1))]
    rows = [row(900 - n, runId=f"0000-{n}", createdAt=time) for n, time in enumerate(times)]
    rows[0]["runId"] = RUN
    rows[-1]["runId"] = RUN[:8] + "-other"
    for start in (0, of_page - 1, 2 * (of_page - 1), 3 * (of_page - 1)):
        found = rows[start : start + of_page]
        if found:
            known = {"size": of_page, "totalElements": len(rows) - start}
            server.answer("GET", "/history", page(*found) | known)
    result = gate("history", "delete", RUN[:8], "--yes")
    assert result.exit_code == ExitCode.ERROR
    assert "several runs have an id that begins with" in result.stderr


def test_latest_of_a_profile_is_not_that_of_another_one(gate, server):
    """A server that does not know the filter lists the runs of all profiles."""
    server.answer("GET", "/profiles", [{"id": 43, "name": "checkout"}])
    server.answer("GET", "/history", page(row()))
    result = gate("history", "delete", "latest:checkout", "--yes")
    assert result.exit_code == ExitCode.ERROR
    assert "does not tell which run of checkout is the latest" in result.stderr


def test_found_run_is_deleted_by_its_history_id(gate, server):
    searched(server, RUN[:8], row(7)).answer("DELETE", "/history/7", code=204)
    result = gate("history", "delete", RUN[:8], "--yes")
    assert result.stdout == "deleted run 7 from the history\n"


def test_who_is_asked_sees_which_run_is_to_be_deleted(gate, server, monkeypatch, capfd):
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    server.answer("GET", "/history", page(row())).detail(7)
    result = gate("history", "delete", "latest", live=True)
    assert result.exit_code == ExitCode.USAGE
    asked = "Delete run 7 (checkout, 2026-03-01 12:00:01Z) from the history?"
    assert asked in "".join(capfd.readouterr())


def test_one_run_is_compared_with_its_baseline(gate, server):
    answer = {"runA": row(7), "runB": row(5), "comparisons": []}
    server.detail(7).answer("GET", "/history/compare", answer, query={"runA": "7", "runB": "5"})
    assert "run 7 compared with run 5" in gate("history", "compare", "7").stdout


def test_run_without_a_baseline_is_compared_with_none(gate, server):
    server.detail(7, autoCompareBaselineRunId=None)
    result = gate("history", "compare", "7", "--json")
    assert result.exit_code == ExitCode.ERROR
    assert result.json["error"]["code"] == "not_comparable"
    assert "run 7 was compared with no baseline" in result.stderr


FILTERS = {
    "profiles": [{"id": 42, "name": "checkout"}],
    "regions": ["eu", "local"],
    "tags": [f"commit-{n:07}" for n in range(40)],
    "triggeredBy": ["api", "manual", "scheduled"],
    "autoVerdicts": ["PASS", "WARN", "FAIL", "NO_BASELINE"],
}


def test_filters_are_listed(gate, server):
    server.answer("GET", "/history/filters", FILTERS)
    lines = [line.rstrip() for line in gate("history", "filters").stdout.splitlines()]
    assert lines[0] == "--profile       checkout (42)"
    assert lines[1] == "--region        eu, local"
    assert lines[2].endswith("and 10 more (--json has all)")


def test_filters_of_an_older_server_are_an_error(gate, server):
    server.error("GET", "/history/filters", 400, "Run history not found")
    result = gate("history", "filters", "--json")
    assert (result.exit_code, result.json["error"]["code"]) == (ExitCode.ERROR, "not_supported")
