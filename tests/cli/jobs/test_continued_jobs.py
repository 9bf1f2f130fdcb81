"""Job code that calls `continue`: the run ends as completed, and a later one goes on."""

import json

import pytest

from tests.services.strait.api import Problem, Reply, as_json, envelope
from tests.services.strait.world import Course
from tm_cli.api.strait import JobRun
from tm_cli.backends.strait.results import later_runs
from tm_cli.exit_codes import ExitCode

START = ("start", "export", "--wait", "--no-stream")
LINEAGE = "GET /v1/runs/{run}/lineage"
BRIEFLY = ("--no-stream", "--wait-timeout", "1m")


def answer_with(strait, page: object) -> None:
    """Answer with this lineage from now on."""
    strait.api.faults[LINEAGE].clear()
    for _ in range(50):
        strait.api.fault(LINEAGE, as_json(200, page))


def chain(*endings: str, **last: object) -> Course | None:
    """Courses that continue one another and end so."""
    course = None
    for number, ending in enumerate(reversed(endings)):
        more = last if number == 0 else {}
        course = Course(attempts=(ending,), continues=course, **more)  # type: ignore[arg-type]
    return course


def ended_run(strait, clock):
    run = strait.world.make_run(strait.job()["id"])
    clock.sleep(120)
    strait.world.settle()
    assert run.status == "completed"
    return run


@pytest.mark.parametrize(
    ("endings", "code"),
    [
        (("completed",), ExitCode.OK),
        (("failed",), ExitCode.FAIL),
        (("dead_letter",), ExitCode.FAIL),
        (("completed", "completed", "completed"), ExitCode.OK),
        (("completed", "completed", "timed_out"), ExitCode.FAIL),
        (("canceled",), ExitCode.WARN),
    ],
    ids=str,
)
@pytest.mark.parametrize("streams", [True, False], ids=["stream", "no-stream"])
def test_last_run_decides_for_a_job_that_continues_itself(jobs, strait, endings, code, streams):
    strait.job(continues=chain(*endings))
    flags = () if streams else ("--no-stream",)
    result = jobs("start", "export", "--wait", *flags)
    assert result.exit_code == code
    assert len(strait.world.runs) == 1 + len(endings)
    assert endings[-1] in result.stdout


def test_wait_goes_on_while_a_later_run_does(jobs, strait):
    strait.job(continues=chain("completed", holds="executing"))
    result = jobs(*START, "--wait-timeout", "2m", "--json")
    first, second = strait.world.runs.values()
    assert first.status == "completed"
    assert result.exit_code == ExitCode.WAIT_TIMEOUT
    assert f"tm jobs wait {first.id}" in result.json["error"]["hint"]
    assert f"executing in continuation {second.id}" in result.stderr


@pytest.mark.parametrize("failing", [0, 1], ids=["ours", "a-later-one"])
def test_run_that_failed_is_not_saved_by_one_that_continues_it(jobs, strait, failing):
    endings = ["completed", "completed", "completed"]
    endings[failing] = "failed"
    run = ours = strait.world.make_run(strait.job(attempts=(endings[0],))["id"])
    for ending in endings[1:]:
        run = strait.world.continue_run(run, Course(attempts=(ending,)), strait.world.now())
    assert jobs("wait", ours.id, "--no-stream").exit_code == ExitCode.FAIL


def test_all_branches_count_when_a_run_was_continued_twice(jobs, strait):
    job = strait.job(attempts=("completed",))
    run = strait.world.make_run(job["id"])
    for ending in ("failed", "completed"):
        strait.world.continue_run(run, Course(attempts=(ending,)), strait.world.now())
    assert jobs("wait", run.id, "--no-stream").exit_code == ExitCode.FAIL


@pytest.mark.parametrize("scores", [(0.5, 0.95), (0.95, 0.5)], ids=str)
def test_result_of_several_last_runs_is_none(jobs, strait, scores):
    run = strait.world.make_run(strait.job()["id"])
    for score in scores:
        strait.world.continue_run(run, Course(result={"score": score}), strait.world.now())
    check = ("--assert", "score>=0.9", "--fail-on", "FAIL")
    assert jobs("wait", run.id, "--no-stream", *check).exit_code == ExitCode.UNDECIDED


@pytest.mark.parametrize(("score", "code"), [(0.95, ExitCode.OK), (0.5, ExitCode.FAIL)])
def test_last_run_is_known_in_any_order(jobs, strait, clock, score, code):
    run = ended_run(strait, clock)
    first = {"id": "a", "status": "completed", "continuation_of": run.id, "result": {"score": 0.9}}
    last = {"id": "b", "status": "completed", "continuation_of": "a", "result": {"score": score}}
    answer_with(strait, {"data": [last, first, run.document], "has_more": False})
    check = ("--assert", "score>=0.9")
    assert jobs("wait", run.id, "--no-stream", *check).exit_code == code


def test_runs_before_ours_do_not_count(jobs, strait):
    job = strait.job()
    before = strait.world.make_run(job["id"])
    before.document.update(status="failed", finished_at=before.document["created_at"])
    before.due = None
    run = strait.world.continue_run(before, Course(), strait.world.now())
    assert jobs("wait", run.id, "--no-stream").exit_code == ExitCode.OK


def test_result_and_duration_are_those_of_the_whole_work(jobs, strait):
    strait.job(
        queued=1.0, executing=9.0, result={"part": 1}, continues=chain("completed", queued=1.0,
        executing=19.0, result={"part": 2}),
    )  # fmt: skip
    result = jobs(*START, "--assert", "part==2", "--max-duration", "29s", "--json")
    assert [check["passed"] for check in result.json["data"]["checks"]] == [False, True]
    assert result.json["data"]["metrics"]["durationSeconds"] == pytest.approx(30.0, abs=0.1)
    first, second = strait.world.runs
    assert result.json["data"]["started_run_id"] == first
    assert result.json["data"]["run_id"] == second


@pytest.mark.parametrize(
    "reply",
    [
        None,
        Reply(404, b"404 page not found\n", {"Content-Type": "text/plain"}),
        Reply(500),
        Reply(504),
        envelope(Problem(429, "rate limited", Retry_After="7")),
        Reply(200, b"<html>login</html>", {"Content-Type": "text/html"}),
        Reply(200, b'{"data": [{"id": "x", "stat', {"Content-Type": "application/json"}),
        as_json(200, {"data": [{"id": 5, "status": "completed"}]}),
        as_json(200, {"data": [{"id": "x", "status": None}]}),
        as_json(200, {"items": []}),
        as_json(200, []),
        as_json(200, {"data": []}),
        as_json(200, {"data": [{"id": "another", "status": "completed"}]}),
        as_json(200, {"data": [], "has_more": True, "next_cursor": "2026-03-01T12:00:00Z"}),
    ],
    ids=lambda reply: "hang-up" if reply is None else f"{reply.status}-{reply.body[:20]!r}",
)
def test_lineage_that_cannot_be_read_for_a_while_changes_nothing(jobs, strait, reply):
    strait.job(continues=chain("failed"))
    for _ in range(3):
        strait.api.fault(LINEAGE, reply)
    assert jobs(*START).exit_code == ExitCode.FAIL


@pytest.mark.parametrize("status", [400, 403, 404, 405, 410, 422])
def test_lineage_that_is_refused_leaves_the_run_undecided(jobs, strait, status):
    strait.job()
    strait.api.fault(LINEAGE, envelope(Problem(status, "no")))
    result = jobs(*START)
    (run,) = strait.world.runs.values()
    assert result.exit_code == ExitCode.UNDECIDED
    assert f"run {run.id} is completed, and whether another run continues it" in result.stderr


def test_server_that_never_shows_the_lineage_is_no_pass(jobs, strait):
    strait.job()
    for _ in range(1000):
        strait.api.fault(LINEAGE, Reply(503))
    assert jobs(*START, "--wait-timeout", "5m").exit_code == ExitCode.WAIT_TIMEOUT


def test_lineage_longer_than_a_page_is_no_pass(jobs, strait):
    job = strait.job()
    run = strait.world.make_run(job["id"])
    for _ in range(150):
        strait.world.continue_run(run, Course(), strait.world.now())
    result = jobs("wait", run.id, "--no-stream", "--wait-timeout", "5m")
    assert result.exit_code == ExitCode.WAIT_TIMEOUT


@pytest.mark.parametrize(
    "reply",
    [Reply(404, b"404 page not found\n", {"Content-Type": "text/plain"}), as_json(200, [])],
    ids=["not-there", "empty"],
)
def test_older_server_without_lineage_decides_by_the_run_alone(jobs, strait, reply):
    run = strait.world.make_run(strait.job()["id"])
    del run.document["lineage_depth"]
    strait.api.fault(LINEAGE, reply)
    assert jobs("wait", run.id, "--no-stream").exit_code == ExitCode.OK


@pytest.mark.parametrize("depth", ["0", None, True, 1.5])
def test_depth_that_is_no_number_makes_no_older_server(jobs, strait, depth):
    run = strait.world.make_run(strait.job()["id"])
    run.document["lineage_depth"] = depth
    for _ in range(1000):
        strait.api.fault(LINEAGE, as_json(200, []))
    flags = ("--no-stream", "--wait-timeout", "5m")
    assert jobs("wait", run.id, *flags).exit_code == ExitCode.WAIT_TIMEOUT


@pytest.mark.parametrize("ending", ["completed", "failed"])
def test_lineage_as_a_bare_list_is_read(jobs, strait, clock, ending):
    """The published reference shows lists without an envelope."""
    run = ended_run(strait, clock)
    later = {"id": "later", "job_id": run.job_id, "status": ending, "continuation_of": run.id}
    strait.api.fault(LINEAGE, as_json(200, [run.document, later]))
    code = ExitCode.OK if ending == "completed" else ExitCode.FAIL
    assert jobs("wait", run.id, "--no-stream").exit_code == code


@pytest.mark.parametrize("ending", ["failed", "canceled", "executing"])
def test_later_run_counts_though_the_one_between_is_deleted(jobs, strait, clock, ending):
    run = ended_run(strait, clock)
    last = {"id": "last", "status": ending, "continuation_of": "deleted", "lineage_depth": 2}
    answer_with(strait, {"data": [run.document, last], "has_more": False})
    codes = {"failed": ExitCode.FAIL, "canceled": ExitCode.WARN, "executing": ExitCode.WAIT_TIMEOUT}
    assert jobs("wait", run.id, *BRIEFLY).exit_code == codes[ending]


@pytest.mark.parametrize("ending", ["failed", "executing"])
def test_deeper_run_counts_in_any_order_and_without_a_link(jobs, strait, clock, ending):
    run = ended_run(strait, clock)
    later = {"id": "later", "status": ending, "lineage_depth": 1}
    answer_with(strait, {"data": [later, run.document], "has_more": False})
    code = ExitCode.FAIL if ending == "failed" else ExitCode.WAIT_TIMEOUT
    assert jobs("wait", run.id, *BRIEFLY).exit_code == code


@pytest.mark.parametrize(
    "more",
    [
        {"next_cursor": "2026-03-01T12:00:00Z"},
        {"next_cursor": "x", "has_more": False},
        {"next_cursor": "x", "has_more": "true"},
        {"has_more": True},
    ],
    ids=str,
)
def test_lineage_that_says_in_any_way_that_it_goes_on_is_no_pass(jobs, strait, clock, more):
    run = ended_run(strait, clock)
    answer_with(strait, {"data": [run.document], **more})
    assert jobs("wait", run.id, *BRIEFLY).exit_code == ExitCode.WAIT_TIMEOUT


@pytest.mark.parametrize("more", [{}, {"has_more": None}, {"has_more": "no"}], ids=str)
def test_full_page_of_a_lineage_must_say_that_it_is_the_last(jobs, strait, clock, more):
    run = ended_run(strait, clock)
    later = [
        {"id": f"r{number}", "status": "completed", "continuation_of": run.id}
        for number in range(99)
    ]
    answer_with(strait, {"data": [run.document, *later], **more})
    assert jobs("wait", run.id, *BRIEFLY).exit_code == ExitCode.WAIT_TIMEOUT
    answer_with(strait, {"data": [run.document, *later], "has_more": False})
    assert jobs("wait", run.id, *BRIEFLY).exit_code == ExitCode.OK


@pytest.mark.parametrize("status", ["executing", "paused", "queued", "failed"])
def test_lineage_that_contradicts_the_run_is_asked_again(jobs, strait, clock, status):
    """A replica that lags behind does not show the runs that continue ours either."""
    run = ended_run(strait, clock)
    strait.world.continue_run(run, Course(attempts=("failed",)), strait.world.now())
    stale = {"data": [run.document | {"status": status}], "has_more": False}
    strait.api.fault(LINEAGE, as_json(200, stale))
    assert jobs("wait", run.id, "--no-stream").exit_code == ExitCode.FAIL


def test_later_run_that_does_not_say_what_it_continues_counts(jobs, strait, clock):
    run = ended_run(strait, clock)
    later = {"id": "later", "status": "dead_letter"}
    strait.api.fault(LINEAGE, as_json(200, [run.document, later]))
    assert jobs("wait", run.id, "--no-stream").exit_code == ExitCode.FAIL


def test_stop_on_interrupt_cancels_the_run_that_goes_on(jobs, strait, clock):
    from tm_cli.runtime.signals import SignalReceived

    strait.job(executing=2.0, continues=chain("completed", executing=600.0))
    sleep = clock.sleep

    def interrupted(seconds: float) -> None:
        if len(strait.world.runs) == 2 and strait.sent("GET", "/v1/runs/{run}/lineage"):
            clock.sleep = sleep
            raise SignalReceived(2)
        sleep(seconds)

    clock.sleep = interrupted
    result = jobs(*START, "--on-interrupt", "stop")
    first, second = strait.world.runs.values()
    assert result.exit_code == ExitCode.INTERRUPTED
    assert [first.status, second.status] == ["completed", "canceled"]


def test_pass_says_that_child_runs_are_not_part_of_it(jobs, strait):
    job = strait.job()
    run = strait.world.make_run(job["id"])
    strait.world.make_run(job["id"], parent_run_id=run.id, triggered_by="spawn")
    result = jobs("wait", run.id, "--no-stream", "--json")
    assert result.exit_code == ExitCode.OK
    assert f"`tm jobs children {run.id}` lists them" in result.json["data"]["notes"][0]


def test_children_of_a_continuation_are_named_too(jobs, strait):
    strait.job(continues=chain("completed", holds=None))
    make, made = strait.world.continue_run, []

    def with_child(*arguments):
        made.append(make(*arguments))
        strait.world.make_run(made[0].job_id, parent_run_id=made[0].id, triggered_by="spawn")
        return made[0]

    strait.world.continue_run = with_child
    result = jobs(*START, "--json")
    assert result.exit_code == ExitCode.OK
    (note,) = result.json["data"]["notes"]
    assert f"`tm jobs children {made[0].id}` lists them" in note


def test_last_start_is_waited_for_to_the_end_of_its_work(jobs, strait, clock):
    strait.job(continues=chain("completed", "failed", executing=60.0))
    assert jobs("start", "export").exit_code == ExitCode.OK
    assert jobs("wait", "--last", "--no-stream").exit_code == ExitCode.FAIL


@pytest.mark.parametrize("command", ["show", "stream"])
def test_run_that_continues_another_is_named(jobs, strait, clock, command):
    run = ended_run(strait, clock)
    later = strait.world.continue_run(run, Course(holds="queued"), strait.world.now())
    result = jobs(command, run.id)
    assert result.exit_code == ExitCode.OK
    assert f"run {later.id} continues it: queued" in result.stdout + result.stderr
    strait.api.fault(LINEAGE, Reply(500))
    assert jobs(command, run.id).exit_code == ExitCode.OK


def test_children_that_cannot_be_read_change_nothing(jobs, strait):
    run = strait.world.make_run(strait.job()["id"])
    strait.api.fault("GET /v1/runs/{run}/children", Reply(500))
    result = jobs("wait", run.id, "--no-stream", "--json")
    assert result.exit_code == ExitCode.OK
    assert json.loads(result.stdout)["data"]["notes"] == []


# The tree of runs, as a table.


def runs(*items: str) -> list[JobRun]:
    """`id<before` for each run; without `<` it does not say what it continues."""
    pairs = [[*item.split("<"), None][:2] for item in items]
    return [
        JobRun.model_validate({"id": name, "status": "queued", "continuation_of": before})
        for name, before in pairs
    ]


@pytest.mark.parametrize(
    ("lineage", "later"),
    [
        ((), ()),
        (("me",), ()),
        (("root", "me<root", "next<me"), ("next",)),
        (("me", "a<me", "b<a", "c<b"), ("a", "b", "c")),
        (("c<b", "b<a", "a<me", "me"), ("c", "b", "a")),
        (("root", "me<root", "sibling<root", "own<me"), ("own",)),
        (("me", "a<me", "b<me"), ("a", "b")),
        (("me", "unnamed"), ("unnamed",)),
        (("root", "me"), ()),
        (("other", "another"), ("other", "another")),
        (("me<b", "a<me", "b<a"), ("a", "b")),
        (("me", "last<deleted"), ("last",)),
        (("me", "last<deleted", "next<last"), ("last", "next")),
        (("root<deleted", "me<root", "next<me"), ("next",)),
        (("me", "me<me"), ()),
    ],
    ids=str,
)
def test_which_runs_continue_ours(lineage, later):
    me = JobRun.model_validate({"id": "me", "status": "completed"})
    assert tuple(run.id for run in later_runs(me, runs(*lineage))) == later
