"""`tm history list`: pages that stay together, and columns worth reading."""

from __future__ import annotations

import json

import pytest

from tests.services.trafficmorph import comparison, detail, page, row, verdict_snapshot
from tm_cli.exit_codes import ExitCode

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def at(second, number, **changes):
    return row(number, createdAt=f"2026-03-01T12:{second // 60:02}:{second % 60:02}Z", **changes)


LARGEST = {"size": "100", "page": "0"}


def listed(server, *rows, total=None, **query):
    found = page(*rows) | {"size": 100, "totalElements": len(rows) if total is None else total}
    server.answer("GET", "/history", found, query=LARGEST | query)


def ids(result):
    return [json.loads(line)["id"] for line in result.stdout.splitlines()]


def bound(second):
    return f"2026-03-01T12:{second // 60:02}:{second % 60:02}.001000+00:00"


def test_second_page_is_bounded_by_the_time_of_the_first(gate, server):
    first = [at(300 - n, 300 - n) for n in range(100)]
    listed(server, *first, total=150)
    listed(server, first[-1], *(at(200 - n, 200 - n) for n in range(50)), to=bound(201))
    assert ids(gate("history", "list", "--all", "--jsonl")) == list(range(300, 150, -1))


def test_run_that_ends_in_between_is_neither_shown_nor_shifts_the_rows(gate, server):
    first = [at(300 - n, 300 - n) for n in range(100)]
    listed(server, *first, total=101)
    newer = at(201, 999)  # with the time of the last row, and inserted after it
    listed(server, newer, first[-1], at(200, 200), to=bound(201))
    assert ids(gate("history", "list", "--all", "--jsonl"))[99:] == [201, 999, 200]


def test_many_runs_of_one_time_are_paged_by_number(gate, server):
    rows = [at(0, 300 - n) for n in range(250)]
    for n in range(3):
        listed(server, *rows[100 * n : 100 * n + 100], total=250, page=str(n))
    assert ids(gate("history", "list", "--all", "--jsonl")) == [300 - n for n in range(250)]


def test_server_with_another_order_loses_no_run(gate, server):
    """Such as by the start: a long run is recorded after a later one."""
    rows = [at(300 - n + 7 * (n % 3), 300 - n) for n in range(130)]
    listed(server, *rows[:100], total=130)
    listed(server, *rows[99:], total=131, page="1")
    assert ids(gate("history", "list", "--all", "--jsonl")) == [300 - n for n in range(130)]


def test_server_that_does_not_know_the_bound_is_paged_by_number(gate, server):
    rows = [at(600 - n, 600 - n) for n in range(230)]
    listed(server, *rows[:100], total=230)
    listed(server, *rows[:100], total=230, to=bound(501))
    listed(server, *rows[99:199], total=230, page="1")  # a run has ended
    listed(server, *rows[199:], total=230, page="2")
    assert ids(gate("history", "list", "--all", "--jsonl")) == [600 - n for n in range(230)]


def test_server_with_smaller_pages_is_read_to_the_end(gate, server):
    rows = [at(600 - n, 600 - n) for n in range(60)]
    for number, found in enumerate((rows[:50], rows[49:])):
        query = {"to": bound(551)} if number else {}
        server.answer(
            "GET",
            "/history",
            page(*found) | {"size": 50, "totalElements": 60},
            query=LARGEST | query,
        )
    assert ids(gate("history", "list", "--all", "--jsonl")) == [600 - n for n in range(60)]


def test_rows_without_a_time_are_paged_by_number(gate, server):
    rows = [row(600 - n, createdAt=None) for n in range(130)]
    listed(server, *rows[:100])
    listed(server, *rows[100:], page="1")
    assert ids(gate("history", "list", "--all", "--jsonl")) == [600 - n for n in range(130)]


def test_long_list_in_json_is_one_long_page(gate, server):
    first = [at(300 - n, 300 - n) for n in range(100)]
    listed(server, *first, total=500)
    listed(server, *(at(201 - n, 201 - n) for n in range(100)), total=400, to=bound(201))
    data = gate("history", "list", "--limit", "150", "--json").json["data"]
    about = {key: data[key] for key in ("page", "size", "totalElements", "totalPages")}
    assert about == {"page": 0, "size": 150, "totalElements": 500, "totalPages": 4}
    assert [item["id"] for item in data["content"]] == list(range(300, 150, -1))


@pytest.mark.parametrize("filters", [("--tag", "a\udcff"), ("--region", "\udc80")], ids=repr)
def test_filter_that_is_not_text_is_a_mistake_of_the_user(gate, filters):
    result = gate("history", "list", *filters)
    assert (result.exit_code, "is not UTF-8" in result.stderr) == (ExitCode.USAGE, True)


def test_page_and_size_are_one_page_of_the_server(gate, server):
    server.answer("GET", "/history", page(row()), query={"page": "3", "size": "5"})
    assert gate("history", "list", "--page", "3", "--size", "5").exit_code == ExitCode.OK


@pytest.mark.parametrize("flags", [("--limit", "5"), ("--all",)])
def test_page_does_not_go_with_a_limit(gate, flags):
    result = gate("history", "list", "--page", "1", *flags)
    assert result.exit_code == ExitCode.USAGE
    assert "--page and --size are one page" in result.stderr


TAGS = [f"commit-{COMMIT}", "branch-main"]


def test_row_has_its_p95_the_change_and_the_commit(gate, server):
    times, changes = json.dumps({"p95": 26.0}), {"p95": 30.04}
    found = row(tags=TAGS, latencyQuantiles=times, latencyChanges=changes)
    server.answer("GET", "/history", page(found))
    head, shown = gate("history", "list").stdout.splitlines()
    assert head.split("  ")[0] == "ID"
    for cell in ("26 ms", "+30.0 %", COMMIT[:10], "main", "PASS"):
        assert f" {cell} " in shown


def test_change_without_a_verdict_is_that_since_the_run_before(gate, server):
    rows = [
        row(3, latencyQuantiles='{"p95": 30.0}'),
        row(2, latencyQuantiles='{"p95": 50.0}', profileId=9),
        row(1, latencyQuantiles='{"p95": 20.0}'),
    ]
    server.answer("GET", "/history", page(*rows))
    shown = gate("history", "list", "--fields", "id,p95_change", "--json").json["data"]["content"]
    assert shown == [
        {"id": 3, "p95_change": pytest.approx(50.0)},
        {"id": 2, "p95_change": None},
        {"id": 1, "p95_change": None},
    ]


def test_server_without_response_times_leaves_the_columns_out(gate, server):
    server.answer("GET", "/history", page(row()))
    result = gate("history", "list")
    assert "P95" not in result.stdout
    assert "this list has no response times; --details" in result.stderr


def test_details_read_what_the_list_lacks(gate, server):
    server.answer("GET", "/history", page(row()))
    snapshot = verdict_snapshot(comparison(change=12.5))
    server.answer("GET", "/history/7", detail(autoCompareSnapshot=snapshot))
    shown = gate("history", "list", "--details").stdout
    assert " 21 ms " in shown
    assert " +12.5 % " in shown


def test_member_of_a_field_is_a_field(gate, server):
    server.answer("GET", "/history", page(row(latencyQuantiles='{"p99": 34.5}')))
    argv = ("history", "list", "--fields", "latencyQuantiles.p99,latencyQuantiles.x", "--jsonl")
    found = json.loads(gate(*argv).stdout)
    assert found == {"latencyQuantiles.p99": 34.5, "latencyQuantiles.x": None}
