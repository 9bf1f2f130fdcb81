"""Lists that can be paged, lists that cannot, and a client that never goes round in circles."""

import pytest

from tests.services.strait.api import as_json
from tests.services.strait.world import World
from tm_cli.api.strait import RunPage, collect
from tm_cli.exit_codes import ExitCode


def pages(*found):
    """A fetch that answers with these pages, whatever is asked for, and then with the last."""
    answers = list(found)

    def fetch(cursor, size):
        return answers.pop(0) if len(answers) > 1 else answers[0]

    return fetch


def page(*ids, cursor=None):
    return RunPage(data=[{"id": name} for name in ids], next_cursor=cursor, has_more=bool(cursor))


def ids(found):
    return [item["id"] for item in found.data]


@pytest.mark.parametrize("odd", [{"a": 1}, ["a"], 1, True, 1.0, None, ""], ids=repr)
def test_item_whose_id_is_no_text_is_neither_lost_nor_an_internal_error(jobs, strait, odd):
    strait.api.fault("GET /v1/runs", as_json(200, [{"id": odd}, {"id": "x"}, {"id": odd}]))
    result = jobs("list", "--json")
    assert result.exit_code in {ExitCode.OK, ExitCode.ERROR}, result.stderr
    found = collect(pages(page(odd, "x", odd)), most=10)
    assert ids(found) == [odd, "x", odd]


@pytest.mark.parametrize(
    "answers",
    [
        (page("a", "b", cursor="1"), page("c", cursor="1")),
        (page("a", "b", cursor="1"), page("c", cursor="2"), page("b", "c", cursor="3")),
        (page("a", "b", "c", cursor="1"), page(cursor="2")),
        (page("a", "b", cursor="1"), page("c")),
    ],
    ids=["cursor-comes-back", "nothing-new", "empty", "last"],
)
def test_list_comes_to_an_end_whatever_the_server_does(answers):
    found = collect(pages(*answers), most=1000)
    assert ids(found) == ["a", "b", "c"]
    assert not found.has_more


def test_items_without_an_id_are_kept():
    found = collect(pages(RunPage(data=[{"n": 1}, {"n": 2}])), most=10)
    assert len(found.data) == 2


def test_no_more_is_asked_for_than_is_wanted():
    asked = []

    def fetch(cursor, size):
        asked.append(size)
        first = len(asked) * 100
        return page(*(str(first + n) for n in range(size)), cursor=str(first))

    found = collect(fetch, most=250)
    assert asked == [100, 100, 50]
    assert len(found.data) == 250
    assert found.next_cursor == "300"


def many(strait, count, clock):
    job = strait.job(holds="queued")
    for _ in range(count):
        clock.sleep(1.0)
        strait.world.make_run(job["id"])
    return job


def test_runs_are_listed_newest_first_over_several_pages(jobs, strait, clock):
    many(strait, 130, clock)
    found = jobs("list", "--limit", "120", "--json").json["data"]
    created = [run["created_at"] for run in found["data"]]
    assert created == sorted(created, reverse=True)
    assert len(created) == 120
    rest = jobs("list", "--cursor", found["next_cursor"], "--json").json["data"]
    assert len(rest["data"]) == 10
    assert not rest["has_more"]


def test_more_than_shown_is_told(jobs, strait, clock):
    many(strait, 3, clock)
    assert "go on with --cursor" in jobs("list", "--limit", "2").stderr


def test_filters_reach_the_server(jobs, strait):
    flags = ("--tag", "team=core", "--triggered-by", "manual", "--batch", "b1")
    more = ("--payload-contains", '{"a": 1}', "--execution-mode", "http", "--error-class", "server")
    assert jobs("list", *flags, *more, "--status", "failed").exit_code == ExitCode.OK
    query = strait.api.log[-1].query
    assert {name: values for name, values in query.items() if name != "limit"} == {
        "tag_key": ["team"],
        "tag_value": ["core"],
        "triggered_by": ["manual"],
        "batch_id": ["b1"],
        "payload_contains": ['{"a": 1}'],
        "execution_mode": ["http"],
        "error_class": ["server"],
        "status": ["failed"],
    }


def test_several_statuses_are_repeated(jobs, strait):
    jobs("list", "--status", "failed", "--status", "dead_letter", "--metadata", "k")
    assert strait.api.log[-1].query["statuses"] == ["failed", "dead_letter"]
    assert strait.api.log[-1].query["metadata_key"] == ["k"]
    assert "status" not in strait.api.log[-1].query


@pytest.mark.parametrize(
    "flags",
    [
        ("--status", "done"),
        ("--tag", "a=1", "--metadata", "b=2"),
        ("--tag", "=1"),
        ("--payload-contains", "{a"),
        ("--payload-contains", "[" * 100_000),
        ("--execution-mode", "magic"),
        ("--error-class", "bad"),
        ("--error-class", "dlq_overflow"),
        ("--limit", "0"),
    ],
    ids=" ".join,
)
def test_mistake_in_a_filter_sends_nothing(jobs, strait, flags):
    assert jobs("list", *flags).exit_code == ExitCode.USAGE
    assert strait.api.log == []


def test_dead_letters_have_a_list_of_their_own(jobs, strait, clock):
    run = strait.world.make_run(strait.job(attempts=("dead_letter",))["id"])
    strait.world.make_run(strait.job("good")["id"])
    clock.sleep(60)
    found = jobs("dlq", "--json").json["data"]["data"]
    assert [item["id"] for item in found] == [run.id]


@pytest.mark.parametrize("limit", ["100", "1000"])
def test_runs_of_one_moment_that_the_server_skips_are_told(jobs, strait, limit):
    job = strait.job(holds="queued")
    made = [strait.world.make_run(job["id"]) for _ in range(150)]
    result = jobs("list", "--limit", limit, "--json")
    data = result.json["data"]
    assert len(data["data"]) == 100
    assert data["incomplete_at"] == made[0].document["created_at"]
    assert "the server may have left out what was made at" in result.stderr


def test_list_of_runs_of_several_moments_is_complete(jobs, strait, clock):
    many(strait, 130, clock)
    result = jobs("list", "--limit", "1000", "--json")
    assert len(result.json["data"]["data"]) == 130
    assert "incomplete_at" not in result.json["data"]
    assert "left out" not in result.stderr


# Lists whose cursor leads nowhere.


@pytest.mark.parametrize("part", ["children", "lineage", "events", "checkpoints", "outputs"])
def test_list_that_cannot_be_paged_is_asked_for_once(jobs, strait, part):
    run = strait.world.make_run(strait.job()["id"])
    own = {"children": "parent_run_id", "lineage": "continuation_of"}
    if part in own:
        for _ in range(150):
            strait.world.make_run(run.job_id, **{own[part]: run.id})
    else:
        items = [{"id": str(n), "created_at": World.text(strait.world.now())} for n in range(150)]
        strait.world.parts[run.id, part] = items
    result = jobs(part, run.id, "--json")
    assert result.exit_code == ExitCode.OK
    assert len(result.json["data"]["data"]) == 100
    assert "the server lists only the first" in result.stderr
    assert strait.sent("GET", f"/v1/runs/{{run}}/{part}") == 1
    assert strait.api.log[-1].query["limit"] == ["100"]
    assert "cursor" not in strait.api.log[-1].query


def test_null_instead_of_an_array_is_empty(jobs, strait):
    run = strait.world.make_run(strait.job()["id"])
    assert jobs("state", run.id, "--json").json["data"] == []
    assert jobs("resources", run.id, "--json").json["data"] == []
    assert jobs("resources", run.id).stdout == "none\n"
