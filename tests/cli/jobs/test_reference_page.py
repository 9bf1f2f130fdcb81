"""Every command, against today's server and against one that answers as the reference shows."""

import json

import pytest

from tests.services.strait.api import Api, Reply, as_json
from tests.services.strait.fixtures import serve
from tests.services.strait.reference_page import REQUEST_ID, RUN_FIELDS, ReferencePageApi
from tests.services.strait.world import PROJECT, Course
from tm_cli.exit_codes import ExitCode

ITEM = {"created_at": "2026-03-01T12:00:00Z"}
PARTS = {
    "events": {"type": "log", "level": "info", "message": "one"},
    "checkpoints": {"sequence": 1, "source": "sdk", "state": {"n": 1}},
    "outputs": {"output_key": "report", "value": {"rows": 3}},
}
KINDS = [Api, ReferencePageApi]


@pytest.fixture(params=KINDS)
def strait(clock, request):
    with serve(clock, request.param) as found:
        found.api.pauses = True
        yield found


@pytest.fixture
def command(jobs, strait):
    """A command with JOB, RUN (executing), DEAD, FAILED and QUEUED in its words."""
    world = strait.world
    job = strait.job("export", holds="executing")
    ids = {"JOB": "export"}
    statuses = {"PAUSED": "paused", "RUN": "executing", "FAILED": "failed", "QUEUED": "queued"}
    for name, status in statuses.items():
        run = world.make_run(job["id"], payload={"day": 1}, tags={"team": "core"}, batch_id="b1")
        if status != "queued":
            world.move(run, "executing")
        if status in {"failed", "paused"}:
            world.move(run, status, **({"error": "no disk"} if status == "failed" else {}))
        run.due = None
        ids[name] = run.id
    dead = world.make_run(job["id"], parent_run_id=ids["RUN"])
    world.move(dead, "executing")
    world.move(dead, "dead_letter", error="endpoint returned 500")
    ids["DEAD"] = dead.id
    for part, item in PARTS.items():
        world.parts[ids["RUN"], part] = [{"id": part, "run_id": ids["RUN"], **ITEM, **item}]

    def run(*words, **options):
        environ = {"TM_STRAIT_PROJECT": PROJECT, **options.pop("environ", {})}
        words = [ids.get(word, word) for word in words]
        return jobs(*words, environ=environ, **options)

    run.ids, run.world = ids, world
    return run


@pytest.mark.parametrize("newer", [0, 250])
def test_run_of_a_lost_start_is_found_by_its_key(strait, jobs, clock, newer):
    job = strait.job("export", attempts=("failed",))
    project = {"TM_STRAIT_PROJECT": PROJECT}

    def lost(request):
        reply = answer(request)
        return None if request.path.endswith("/trigger") else reply

    answer, strait.api.answer = strait.api.answer, lost
    strait.api.fault("GET /v1/runs", Reply(404))
    assert jobs("start", "export", environ=project).exit_code == ExitCode.START_UNKNOWN
    strait.api.answer = answer
    for _ in range(newer):
        clock.sleep(0.1)
        strait.world.make_run(job["id"]).course = Course()
    last = jobs("wait", "--last", "--no-stream", environ=project)
    assert last.exit_code == ExitCode.FAIL


AT = ("--at", "2026-03-02T12:00:00Z")
ROWS = [
    (("list",), "QUEUED"),
    (("list", "--status", "failed"), "FAILED"),
    (("list", "--status", "failed", "--status", "dead_letter"), "DEAD"),
    (("list", "--tag", "team=core", "--batch", "b1", "--triggered-by", "manual"), "RUN"),
    (("list", "--payload-contains", '{"day": 1}', "--limit", "2"), "QUEUED"),
    (("dlq",), "DEAD"),
    (("show", "RUN"), "executing"),
    (("cancel", "RUN"), "canceled"),
    (("replay", "FAILED"), "FAILED"),
    (("dlq-replay", "DEAD"), "queued"),
    (("bulk", "cancel", "RUN", "QUEUED"), "canceled 2 runs"),
    (("bulk", "cancel-all", "--job", "JOB", "--status", "executing", "--yes"), "RUN"),
    (("bulk", "replay", "FAILED"), "replayed 1 run"),
    (("bulk", "dlq-replay", "DEAD"), "DEAD"),
    (("bulk", "dlq-replay", "--project", PROJECT, "--limit", "5"), "DEAD"),
    (("bulk", "start", "JOB", "--items", "[{}, {}]"), "started 2 runs"),
    (("children", "RUN"), "DEAD"),
    (("events", "RUN", "--level", "info", "--type", "log"), "one"),
    (("checkpoints", "RUN"), "sdk"),
    (("outputs", "RUN"), "report"),
    (("lineage", "RUN"), "RUN"),
    (("dependencies", "RUN"), "dependencies_satisfied"),
    (("debug-bundle", "RUN"), "checkpoints"),
    (("debug", "on", "RUN"), "debug mode is on"),
    (("debug", "off", "RUN"), "debug mode is off"),
    (("reset-idempotency-key", "RUN"), "is free"),
    (("reschedule", "QUEUED", *AT), "delayed"),
    (("pause", "RUN"), "paused"),
    (("resume", "PAUSED"), "queued"),
    (("restart", "RUN"), "queued"),
    (("restart", "RUN", "--preset", "large-2x"), "queued"),
    (("state", "RUN"), ""),
    (("resources", "RUN"), ""),
    (("stream", "FAILED"), ""),
    (("stream", "FAILED", "--chunks"), ""),
    (("definitions", "list"), "export"),
    (("definitions", "show", "JOB"), "export"),
    (("start", "JOB"), "started run"),
    (("start", "JOB", "--dry-run"), "nothing was started"),
]


@pytest.mark.parametrize("form", [(), ("--json",)], ids=["text", "json"])
@pytest.mark.parametrize(("words", "shown"), ROWS, ids=[" ".join(row[0]) for row in ROWS])
def test_command_works_on_both_servers(command, words, shown, form):
    result = command(*words, *form)
    assert result.exit_code == ExitCode.OK, result.stderr
    if form and words[0] != "stream":
        assert result.json["error"] is None
    elif not form:
        assert command.ids.get(shown, shown) in result.stdout


@pytest.mark.parametrize(("part", "shown"), [("usage", "cost_microusd"), ("tool-calls", "search")])
def test_what_newer_servers_have_no_more_works_where_it_is(command, strait, part, shown):
    result = command(part, "RUN")
    if isinstance(strait.api, ReferencePageApi):
        assert result.exit_code == ExitCode.OK
        assert shown in result.stdout
    else:
        assert result.exit_code == ExitCode.REFUSED


ENDS = {
    "completed": ExitCode.OK,
    "failed": ExitCode.FAIL,
    "timed_out": ExitCode.FAIL,
    "crashed": ExitCode.FAIL,
    "system_failed": ExitCode.FAIL,
    "dead_letter": ExitCode.FAIL,
    "canceled": ExitCode.WARN,
}


@pytest.mark.parametrize(("ending", "code"), ENDS.items(), ids=str)
@pytest.mark.parametrize("stream", [(), ("--no-stream",)], ids=["stream", "polls"])
def test_gate_decides_the_same_on_both_servers(jobs, strait, ending, code, stream):
    strait.job("nightly", attempts=(ending,))
    environ = {"TM_STRAIT_PROJECT": PROJECT}
    result = jobs("start", "nightly", "--wait", *stream, environ=environ)
    assert result.exit_code == code
    assert ending in result.stdout
    assert jobs("wait", "--last", *stream, environ=environ).exit_code == code


def test_job_that_continues_itself_is_waited_for_on_both_servers(jobs, strait):
    strait.job("nightly", continues=Course(attempts=("failed",)))
    result = jobs("start", "nightly", "--wait", environ={"TM_STRAIT_PROJECT": PROJECT})
    assert result.exit_code == ExitCode.FAIL


@pytest.mark.parametrize(
    "words", [("list",), ("dlq",), ("definitions", "list"), ("bulk", "cancel-all", "--batch", "b1")]
)
def test_project_is_a_flag_and_a_setting(command, strait, tm, words):
    wanted = [*words, "--yes"] if words[0] == "bulk" else words
    assert command(*wanted).exit_code == ExitCode.OK
    assert strait.api.log[-1].query["project_id"] == [PROJECT]
    other = command(*wanted, "--project", "other-2")
    assert strait.api.log[-1].query["project_id"] == ["other-2"]
    assert other.exit_code == (ExitCode.OK if type(strait.api) is Api else ExitCode.ERROR)


@pytest.mark.parametrize("words", [("list",), ("dlq",), ("definitions", "list")])
def test_project_is_not_sent_when_it_is_not_set(jobs, strait, words):
    result = jobs(*words)
    assert "project_id" not in strait.api.log[0].query
    if isinstance(strait.api, ReferencePageApi):
        assert result.exit_code == ExitCode.ERROR
        assert "project_id is required" in result.stderr
        assert "--project or TM_STRAIT_PROJECT" in result.stderr


def test_project_of_a_file_is_used(jobs, strait, tm):
    (tm.cwd / "tm.toml").write_text(f'strait_project = "{PROJECT}"\n')
    assert jobs("list").exit_code == ExitCode.OK
    assert strait.api.log[-1].query["project_id"] == [PROJECT]
    assert jobs("list", environ={"TM_STRAIT_PROJECT": ""}).exit_code == ExitCode.CONFIGURATION


def test_dead_letters_of_the_set_project_are_revived_only_on_request(command, strait):
    bare = command("bulk", "dlq-replay")
    assert bare.exit_code == ExitCode.USAGE
    assert strait.api.log == []
    assert command("bulk", "dlq-replay", "--limit", "5").exit_code == ExitCode.OK
    assert strait.api.log[-1].document == {"project_id": PROJECT, "limit": 5}


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (("cancel", "RUN"), "canceled"),
        (("pause", "RUN"), "paused"),
        (("restart", "RUN"), "queued"),
        (("dlq-replay", "DEAD"), "queued"),
        (("reschedule", "QUEUED", *AT), "delayed"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else value,
)
@pytest.mark.parametrize(
    "empty",
    [Reply(200), Reply(202), Reply(204), Reply(200, b"\n"), as_json(200, {}), as_json(200, None)],
    ids=["200", "202", "204", "line-break", "object", "null"],
)
def test_answer_that_does_not_show_the_run_is_a_success(command, strait, words, status, empty):
    answer = strait.api.answer

    def emptied(request):
        reply = answer(request)
        return empty if request.method != "GET" and reply.status < 300 else reply

    strait.api.answer = emptied
    result = command(*words)
    assert result.exit_code == ExitCode.OK, result.stderr
    assert result.stdout == f"{command.ids[words[1]]}: {status}\n"


def test_run_that_cannot_be_read_after_an_empty_answer_was_canceled_all_the_same(command, strait):
    strait.api.fault("DELETE /v1/runs/{run}", Reply(204), after=True)
    for _ in range(3):
        strait.api.fault("GET /v1/runs/{run}", Reply(502))
    result = command("cancel", "RUN", "--json")
    assert result.exit_code == ExitCode.OK
    assert result.json["data"] == {"id": command.ids["RUN"], "status": None}


@pytest.mark.parametrize(
    ("words", "route", "code"),
    [
        (("show", "RUN"), "GET /v1/runs/{run}", ExitCode.ERROR),
        (("list",), "GET /v1/runs", ExitCode.ERROR),
        (("children", "RUN"), "GET /v1/runs/{run}/children", ExitCode.ERROR),
        (("debug-bundle", "RUN"), "GET /v1/runs/{run}/debug-bundle", ExitCode.ERROR),
        (("usage", "RUN"), "GET /v1/runs/{run}/usage", ExitCode.ERROR),
        (("replay", "FAILED"), "POST /v1/runs/{run}/replay", ExitCode.START_UNKNOWN),
        (("bulk", "replay", "FAILED"), "POST /v1/runs/bulk-replay", ExitCode.START_UNKNOWN),
        (("bulk", "cancel", "RUN"), "POST /v1/runs/bulk-cancel", ExitCode.ERROR),
        (("start", "JOB"), "POST /v1/jobs/{job}/trigger", ExitCode.START_UNKNOWN),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
@pytest.mark.parametrize("reply", [Reply(200), Reply(204)], ids=["200", "204"])
def test_where_an_answer_has_to_say_something_none_is_no_success(
    command, strait, words, route, code, reply
):
    for _ in range(9):
        strait.api.fault(route, reply)
    result = command(*words)
    assert result.exit_code == code, result.stdout


def test_gate_does_not_take_an_empty_answer_for_an_end(jobs, strait):
    strait.job("nightly", attempts=("failed",))
    for number in range(9):
        strait.api.fault("GET /v1/runs/{run}", Reply(204 if number % 2 else 200))
    environ = {"TM_STRAIT_PROJECT": PROJECT}
    result = jobs("start", "nightly", "--wait", "--no-stream", environ=environ)
    assert result.exit_code == ExitCode.FAIL


@pytest.mark.parametrize("part", ["state", "resources"])
@pytest.mark.parametrize("reply", [Reply(200), Reply(204), as_json(200, None), as_json(200, [])])
def test_parts_without_a_body_are_empty(command, strait, part, reply):
    strait.api.fault(f"GET /v1/runs/{{run}}/{part}", reply)
    strait.api.fault(f"GET /v1/runs/{{run}}/{part}", reply)
    assert command(part, "RUN", "--json").json["data"] == []
    assert command(part, "RUN").stdout.strip() in {"KEY  VALUE  UPDATED", "none"}


def test_error_is_a_sentence_with_the_id_of_the_request(command, strait):
    result = command("cancel", "FAILED", "-v", "--json")
    assert result.exit_code == ExitCode.ERROR
    assert "run is already in terminal state (HTTP 400" in result.stderr
    wanted = REQUEST_ID if isinstance(strait.api, ReferencePageApi) else "host/abc-000042"
    assert result.json["error"]["request_id"] == wanted
    assert wanted in result.stderr


def test_every_field_of_a_run_is_shown(command, strait):
    run = strait.world.runs[command.ids["RUN"]]
    trace = {"queue_wait_ms": 1, "total_ms": 7}
    texts = {name: f"<{name}>" for name in RUN_FIELDS - set(run.document)}
    times = {name: "2026-03-01T12:00:00Z" for name in texts if name.endswith("_at")}
    run.document.update({**texts, **times, "execution_trace": trace, "lineage_depth": 0})
    shown = command("show", "RUN")
    data = command("show", "RUN", "--json").json["data"]
    for name in RUN_FIELDS:
        assert name in data
        if name not in {"id", "status"}:
            assert f"\n  {name} " in shown.stdout
    for name in texts.keys() - times.keys() - {"execution_trace"}:
        assert texts[name] in shown.stdout


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("error", {"message": "no disk"}),
        ("attempt", "second"),
        ("created_at", "2026-03-01T12:00:00.123456789+01:00"),
        ("finished_at", "yesterday"),
        ("of_a_newer_server", ["x"]),
    ],
)
def test_field_that_is_not_understood_is_shown_as_it_was_sent(command, strait, name, value):
    run = strait.world.runs[command.ids["RUN"]].document
    strait.api.fault("GET /v1/runs/{run}", as_json(200, {**run, name: value}))
    shown = command("show", "RUN")
    strait.api.fault("GET /v1/runs/{run}", as_json(200, {**run, name: value}))
    assert command("show", "RUN", "--json").json["data"][name] == value
    assert f"\n  {name} " in shown.stdout
    assert (value if isinstance(value, str) else json.dumps(value)) in shown.stdout


@pytest.mark.parametrize("project", ["", "  "])
def test_empty_project_is_a_mistake(command, strait, project):
    assert command("list", "--project", project).exit_code == ExitCode.USAGE
    assert strait.api.log == []


def test_project_is_part_of_a_context(jobs, strait, tm):
    settings = f'[contexts.staging]\nstrait_project = "{PROJECT}"\n'
    (tm.home / "config.toml").write_text(settings)
    (tm.home / "config.toml").chmod(0o600)
    assert jobs("list", "--context", "staging").exit_code == ExitCode.OK
    assert strait.api.log[-1].query["project_id"] == [PROJECT]


def test_machine_preset_reaches_the_server(command, strait):
    assert command("restart", "RUN", "--preset", "large-2x").exit_code == ExitCode.OK
    (sent,) = (item for item in strait.api.log if item.path.endswith("/restart"))
    assert sent.document == {"machine_preset": "large-2x"}
    assert command("restart", "RUN", "--preset", " ").exit_code == ExitCode.USAGE


def test_restart_without_a_preset_sends_no_body(command, strait):
    command("restart", "RUN")
    (sent,) = (item for item in strait.api.log if item.path.endswith("/restart"))
    assert sent.body == b""


def test_several_statuses_are_told_apart_by_a_server_that_knows_one(command):
    flags = ("--status", "failed", "--status", "queued", "--json")
    found = command("list", *flags).json["data"]["data"]
    assert {run["status"] for run in found} == {"failed", "queued"}


@pytest.mark.parametrize(("tag", "count"), [("team", 4), ("team=core", 4), ("team=x", 0)])
def test_tag_is_looked_for_by_a_server_that_does_not_know_it(command, tag, count):
    assert len(command("list", "--tag", tag, "--json").json["data"]["data"]) == count


def test_long_lists_are_read_to_their_end(command, strait, clock):
    job = strait.world.jobs[next(iter(strait.world.jobs))]
    for _ in range(250):
        clock.sleep(1.0)
        strait.world.make_run(job["id"]).due = None
    found = command("list", "--limit", "1000", "--json").json["data"]
    assert len({run["id"] for run in found["data"]}) == len(strait.world.runs)
    assert found["has_more"] is False
    part = command("list", "--limit", "100")
    assert "there may be more; go on with --cursor" in part.stderr


@pytest.mark.parametrize("words", [("dlq",), ("definitions", "list")])
def test_list_that_cannot_be_limited_says_what_is_left_out(command, strait, clock, words):
    for number in range(5):
        clock.sleep(1.0)
        job = strait.job(f"extra-{number}", holds="queued")
        strait.world.make_run(job["id"]).document["status"] = "dead_letter"
    found = command(*words, "--limit", "2", "--json").json["data"]
    assert len(found["data"]) == 2
    assert found["has_more"] is True
    assert "there " in command(*words, "--limit", "2").stderr
    assert len(command(*words, "--limit", "900", "--json").json["data"]["data"]) == 6


def test_replay_of_a_list_with_one_that_is_skipped_is_incomplete(command):
    result = command("bulk", "replay", "FAILED", "DEAD", "--json")
    assert result.exit_code == ExitCode.ERROR
    assert result.json["error"]["code"] == "incomplete"
    assert result.json["data"]["replayed"] == 1
    made = [item["new_run_id"] for item in result.json["data"]["results"] if "new_run_id" in item]
    assert made[0] in command.world.runs


@pytest.mark.parametrize(
    "words",
    [("auth", "login", "--system", "strait"), ("auth", "status"), ("doctor", "--system", "strait")],
    ids=" ".join,
)
def test_project_of_the_settings_is_used_to_try_a_key(tm, strait, words):
    environ = {**strait.environ, "TM_STRAIT_PROJECT": PROJECT}
    key = environ["STRAIT_API_KEY"]
    if "login" in words:
        del environ["STRAIT_API_KEY"]
    result = tm(*words, environ=environ, secret=key)
    assert result.exit_code in {ExitCode.OK, ExitCode.CONFIGURATION}, result.stderr
    assert "project_id is required" not in result.stdout + result.stderr
    assert strait.api.log[-1].query["project_id"] == [PROJECT]


@pytest.mark.parametrize(
    ("words", "route", "answer", "shown", "code"),
    [
        (
            ("bulk", "cancel", "RUN", "QUEUED"),
            "POST /v1/runs/bulk-cancel",
            {"results": [{"id": "a", "status": "canceled", "error": ""}, {"id": "b"}]},
            "canceled 2 runs",
            ExitCode.OK,
        ),
        (
            ("bulk", "cancel", "RUN", "QUEUED"),
            "POST /v1/runs/bulk-cancel",
            {"results": [{"id": "a", "status": "canceled"}, {"id": "b", "error": "no"}]},
            "canceled 1 run",
            ExitCode.ERROR,
        ),
        (
            ("bulk", "cancel", "RUN", "QUEUED"),
            "POST /v1/runs/bulk-cancel",
            {"results": [{"id": "a", "status": "canceled"}], "canceled": 1, "failed": 0},
            "canceled 1 run",
            ExitCode.ERROR,
        ),
        (
            ("bulk", "cancel-all", "--batch", "b1", "--yes"),
            "POST /v1/runs/bulk-cancel-all",
            {"run_ids": ["a", "b"]},
            "canceled 2 runs",
            ExitCode.OK,
        ),
        (
            ("bulk", "replay", "FAILED"),
            "POST /v1/runs/bulk-replay",
            {"results": [{"new_run_id": "a"}]},
            "replayed 1 run",
            ExitCode.OK,
        ),
        (
            ("bulk", "replay", "FAILED"),
            "POST /v1/runs/bulk-replay",
            [],
            "replayed 0 runs",
            ExitCode.ERROR,
        ),
        (
            ("bulk", "dlq-replay", "DEAD"),
            "POST /v1/runs/bulk-dlq-replay",
            {"replayed": [{"id": "a"}]},
            "queued 1 dead letter again",
            ExitCode.OK,
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_counts_that_an_answer_leaves_out_are_those_of_its_list(
    command, strait, words, route, answer, shown, code
):
    strait.api.fault(route, as_json(200, answer))
    result = command(*words)
    assert result.exit_code == code
    assert shown in result.stdout
