"""What can be done to job runs, and what they have left behind."""

import pytest

from tests.services.strait.api import Problem, Reply, as_json, envelope
from tm_cli.exit_codes import ExitCode

UNKNOWN = "0192f0a4-0000-7e55-b1a6-00000000dead"


@pytest.fixture
def run(strait):
    """A run that is executing, and stays so."""
    found = strait.world.make_run(strait.job(holds="executing")["id"])
    strait.world.move(found, "executing")
    return found


def ended(strait, status):
    found = strait.world.make_run(strait.job(f"job-{len(strait.world.jobs)}")["id"])
    found.document.update(status=status, finished_at=found.document["created_at"])
    found.due = None
    return found


@pytest.mark.parametrize(
    ("verb", "status"), [("cancel", "canceled"), ("pause", "paused"), ("restart", "queued")]
)
def test_run_is_moved(jobs, run, strait, verb, status):
    strait.api.pauses = True
    result = jobs(verb, run.id)
    assert result.exit_code == ExitCode.OK
    assert result.stdout == f"{run.id}: {status}\n"
    assert run.status == status


def test_paused_run_is_resumed(jobs, run, strait):
    strait.api.pauses = True
    jobs("pause", run.id)
    assert jobs("resume", run.id).exit_code == ExitCode.OK
    assert run.status == "queued"


def test_pause_that_the_server_does_not_manage_is_told(jobs, run):
    result = jobs("pause", run.id)
    assert result.exit_code == ExitCode.ERROR
    assert "failed to pause run" in result.stderr
    assert run.status == "executing"


def test_dead_letter_comes_back_under_its_own_id(jobs, strait):
    run = ended(strait, "dead_letter")
    assert jobs("dlq-replay", run.id, "--json").json["data"]["id"] == run.id
    assert run.status == "queued"


def test_replay_makes_a_new_run(jobs, strait):
    run = ended(strait, "failed")
    made = jobs("replay", run.id, "--json").json["data"]
    assert made["id"] != run.id
    assert made["replayed_run_id"] == run.id


def test_replay_whose_answer_is_lost_is_not_repeated(jobs, strait):
    run = ended(strait, "failed")
    strait.api.fault("POST /v1/runs/{run}/replay", None, after=True)
    assert jobs("replay", run.id).exit_code == ExitCode.START_UNKNOWN
    assert strait.sent("POST", "/v1/runs/{run}/replay") == 1


MAYBE_REPLAYED = [
    (envelope(Problem(429, "database admission control throttled", Retry_After="1")), 7),
    (envelope(Problem(408, "timeout")), 7),
    (envelope(Problem(429, "rate limited", Retry_After="1")), 1),
    (Reply(429, b"Too Many Requests\n", {"Content-Type": "text/plain"}), 1),
    (Reply(403, b"<html>"), 77),
    (Reply(404, b"<html>"), 7),
]


@pytest.mark.parametrize(("reply", "code"), MAYBE_REPLAYED)
@pytest.mark.parametrize("words", [("replay",), ("bulk", "replay")], ids=" ".join)
def test_replay_is_refused_only_where_no_run_can_have_been_made(jobs, strait, words, reply, code):
    run = ended(strait, "failed")
    for path in ("{run}/replay", "bulk-replay"):
        strait.api.fault(f"POST /v1/runs/{path}", reply)
    assert jobs(*words, run.id).exit_code == code


@pytest.mark.parametrize("status", ["dead_letter", "completed", "canceled"])
def test_refusal_of_the_server_is_told(jobs, strait, status):
    result = jobs("replay", ended(strait, status).id)
    assert result.exit_code == ExitCode.ERROR
    assert "run is not replayable" in result.stderr
    assert "`tm jobs dlq-replay` revives a dead letter" in result.stderr


def test_checkpoint_that_is_not_there_is_not_taken_for_the_run(jobs, strait):
    run = ended(strait, "failed")
    result = jobs("replay", run.id, "--from-checkpoint", "1", "--json")
    assert result.exit_code == ExitCode.ERROR
    assert result.json["error"]["code"] == "not_found"
    assert result.json["error"]["message"].startswith("checkpoint not found")
    strait.world.parts[run.id, "checkpoints"] = [{"sequence": 1}]
    assert jobs("replay", run.id, "--from-checkpoint", "1").exit_code == ExitCode.OK
    assert jobs("replay", UNKNOWN, "--json").json["error"]["code"] == "unknown_run"


def test_run_that_is_over_cannot_be_given_another_time(jobs, strait):
    at = ("--at", "2026-03-02T12:00:00Z", "--json")
    result = jobs("reschedule", ended(strait, "completed").id, *at)
    assert result.json["error"]["code"] == "not_found"
    assert "not eligible for rescheduling" in result.json["error"]["message"]
    assert jobs("reschedule", UNKNOWN, *at).json["error"]["code"] == "unknown_run"


def test_run_is_given_another_time(jobs, strait):
    run = strait.world.make_run(strait.job()["id"])
    flags = ("--at", "2026-03-02T12:00:00+01:00", "--payload", '{"day": 2}')
    assert jobs("reschedule", run.id, *flags).exit_code == ExitCode.OK
    assert run.status == "delayed"
    assert run.document["payload"] == {"day": 2}


def test_debug_mode_is_switched(jobs, run):
    assert jobs("debug", "on", run.id).exit_code == ExitCode.OK
    assert run.document["debug_mode"] is True
    assert jobs("debug", "off", run.id, "--json").json["data"]["debug_mode"] is False
    assert run.document["debug_mode"] is False


def test_idempotency_key_is_freed(jobs, strait):
    strait.job()
    start = ("start", "export", "--idempotency-key", "k", "--json")
    first = jobs(*start).json["data"]["run_id"]
    assert jobs("reset-idempotency-key", first).exit_code == ExitCode.OK
    assert "idempotency_key" not in strait.world.runs[first].document


@pytest.mark.parametrize("part", ["usage", "tool-calls"])
def test_what_newer_servers_have_no_more_is_said(jobs, strait, run, part):
    result = jobs(part, run.id, "--json")
    assert result.exit_code == ExitCode.REFUSED
    assert result.json["error"]["code"] == "not_supported"
    strait.api.older = True
    assert jobs(part, run.id).exit_code == ExitCode.OK


COMMANDS = [
    "show",
    "cancel",
    "replay",
    "dlq-replay",
    "children",
    "events",
    "checkpoints",
    "outputs",
    "usage",
    "tool-calls",
    "debug-bundle",
    "lineage",
    "dependencies",
    "reset-idempotency-key",
    "pause",
    "resume",
    "restart",
    "state",
    "resources",
    "stream",
]


@pytest.mark.parametrize("command", COMMANDS)
def test_run_that_is_not_there_is_said(jobs, strait, command):
    result = jobs(command, UNKNOWN, "--json")
    assert result.exit_code == ExitCode.ERROR
    assert result.json["error"]["code"] == "unknown_run"


@pytest.mark.parametrize("command", COMMANDS)
def test_empty_id_sends_nothing(jobs, strait, command):
    assert jobs(command, "").exit_code == ExitCode.USAGE
    assert strait.api.log == []


@pytest.mark.parametrize("run_id", [" ", "a\nb", "x" * 300])
def test_id_that_is_none_sends_nothing(jobs, strait, run_id):
    assert jobs("show", run_id).exit_code == ExitCode.USAGE
    assert strait.api.log == []


@pytest.mark.parametrize("run_id", ["..", "../jobs", "a/b", "a?b=1", "a#b", "%2e%2e", "."])
def test_odd_id_stays_in_its_place(jobs, strait, run_id):
    assert jobs("show", run_id).exit_code == ExitCode.ERROR
    (request,) = strait.api.log
    assert request.path == f"/v1/runs/{run_id}"


@pytest.mark.parametrize("command", [name for name in COMMANDS if name != "stream"])
def test_text_of_the_server_is_harmless(jobs, strait, command):
    run = ended(strait, "failed")
    nasty = "\x1b[31m::error::x\n##[error]y"
    run.document.update(error=nasty, result={"text": nasty}, tags={nasty: nasty})
    item = {"message": nasty, "state_key": nasty, "output_key": nasty, "state": nasty}
    for part in ("events", "state", "outputs", "checkpoints", "resources"):
        strait.world.parts[run.id, part] = [{**item, "created_at": "2026-03-01T12:00:00Z"}]
    result = jobs(command, run.id)
    said = result.stdout + result.stderr
    assert "\x1b" not in said
    assert "##[" not in said
    assert not any(line.lstrip().startswith("::") for line in said.splitlines())


# Many at once.


def test_bulk_cancel_that_leaves_something_out_is_no_success(jobs, strait, run):
    other = ended(strait, "completed")
    result = jobs("bulk", "cancel", run.id, other.id, "--json")
    assert result.exit_code == ExitCode.ERROR
    assert result.json["error"]["code"] == "incomplete"
    assert result.json["data"]["canceled"] == 1
    assert run.status == "canceled"


def test_bulk_cancel_of_all_that_match(jobs, strait, run):
    flags = ("--job", "export", "--status", "executing")
    assert jobs("bulk", "cancel-all", *flags).exit_code == ExitCode.USAGE
    assert strait.api.log == []
    assert jobs("bulk", "cancel-all", *flags, "--yes").exit_code == ExitCode.OK
    assert run.status == "canceled"
    again = jobs("bulk", "cancel-all", *flags, "--yes")
    assert again.stdout == "canceled 0 runs\n"


@pytest.mark.parametrize("answer", [{}, {"error": "later"}, {"canceled": None}])
def test_bulk_answer_that_says_nothing_is_no_success(jobs, strait, answer):
    for verb in ("cancel-all", "dlq-replay"):
        strait.api.fault(f"POST /v1/runs/bulk-{verb}", as_json(200, answer))
    for words in (("cancel-all", "--status", "queued", "--yes"), ("dlq-replay", "--limit", "3")):
        result = jobs("bulk", *words, environ={"TM_STRAIT_PROJECT": "proj-1"})
        assert result.exit_code == ExitCode.ERROR
        assert "does not say what was done" in result.stderr


def test_answer_about_another_run_is_not_taken_for_that_of_this_one(jobs, strait):
    run = strait.world.make_run(strait.job()["id"])
    other = as_json(200, {"id": "another", "status": "canceled"})
    strait.api.fault("DELETE /v1/runs/{run}", other)
    assert jobs("cancel", run.id).stdout == f"{run.id}: queued\n"


def test_bulk_cancel_all_needs_a_filter(jobs, strait):
    assert jobs("bulk", "cancel-all", "--yes").exit_code == ExitCode.USAGE
    assert jobs("bulk", "cancel-all", "--yes", "--batch", "").exit_code == ExitCode.USAGE
    assert jobs("bulk", "cancel-all", "--yes", "--status", "bogus").exit_code == ExitCode.USAGE
    assert jobs("bulk", "cancel-all", "--yes", "--status", "").exit_code == ExitCode.USAGE
    assert strait.api.log == []


def test_bulk_replay_tells_what_was_skipped(jobs, strait):
    failed, dead = ended(strait, "failed"), ended(strait, "dead_letter")
    assert jobs("bulk", "replay", failed.id).exit_code == ExitCode.OK
    result = jobs("bulk", "replay", failed.id, dead.id)
    assert result.exit_code == ExitCode.ERROR
    assert "1 run could not be replayed" in result.stderr


def test_bulk_dlq_replay_by_ids_or_by_project(jobs, strait):
    dead = [ended(strait, "dead_letter") for _ in range(3)]
    assert jobs("bulk", "dlq-replay", dead[0].id).exit_code == ExitCode.OK
    flags = ("--project", "proj-1", "--limit", "1")
    assert jobs("bulk", "dlq-replay", *flags, "--json").json["data"]["count"] == 1
    assert [run.status for run in dead] == ["queued", "queued", "dead_letter"]
    for words in ([], [dead[0].id, "--project", "proj-1"], [dead[0].id, "--limit", "3"]):
        assert jobs("bulk", "dlq-replay", *words).exit_code == ExitCode.USAGE


def test_bulk_start_gives_each_trigger_a_key(jobs, strait):
    strait.job()
    items = '[{"payload": {"day": 1}}, {"payload": {"day": 2}, "idempotency_key": "own"}]'
    answer = jobs("bulk", "start", "export", "--items", items, "--json").json["data"]
    assert answer["created"] == 2
    keys = {run.document["idempotency_key"] for run in strait.world.runs.values()}
    assert keys == {"tm-token-0-0", "own"}
    listed = jobs("list", "--batch", answer["batch_id"], "--json").json["data"]["data"]
    assert len(listed) == 2


@pytest.mark.parametrize("items", ["{}", "[]", "[1]", "nothing", "[{}" + ", {}" * 500 + "]"])
def test_bulk_start_of_what_is_no_list_sends_nothing(jobs, strait, items):
    result = jobs("bulk", "start", "export", "--items", items)
    assert result.exit_code == ExitCode.USAGE
    assert strait.api.log == []


BULK = "POST /v1/jobs/{job}/trigger/bulk"
BULK_START = ("bulk", "start", "export", "--items", "[{}, {}]")


@pytest.mark.parametrize(
    "lost", [None, envelope(Problem(500, "x")), Reply(502, b"<html>"), Reply(200)], ids=repr
)
@pytest.mark.parametrize("took_effect", [True, False])
def test_bulk_start_whose_answer_is_lost_is_repeated_under_its_keys(
    jobs, strait, lost, took_effect
):
    strait.job()
    strait.api.fault(BULK, lost, after=took_effect)
    result = jobs(*BULK_START)
    assert result.exit_code == ExitCode.OK, result.stderr
    assert "started 2 runs, batch" in result.stdout
    assert "sending it again under the same keys" in result.stderr
    assert len(strait.world.runs) == 2
    first, again = (item for item in strait.api.log if item.path.endswith("/bulk"))
    assert first.body == again.body


def test_bulk_start_whose_answers_stay_lost_can_be_repeated_by_hand(jobs, strait):
    strait.job()
    for number in range(3):
        strait.api.fault(BULK, None, after=number == 0)
    result = jobs(*BULK_START, "--json")
    assert result.exit_code == ExitCode.START_UNKNOWN
    assert "--idempotency-key tm-token-0" in result.json["error"]["hint"]
    again = jobs(*BULK_START, "--idempotency-key", "tm-token-0")
    assert again.exit_code == ExitCode.OK
    assert "started 0 runs, 2 existed already" in again.stdout
    assert len(strait.world.runs) == 2


@pytest.mark.parametrize("refusal", [400, 403, 404, 409, 429])
def test_refused_bulk_start_is_not_repeated(jobs, strait, refusal):
    strait.job()
    strait.api.fault(BULK, envelope(Problem(refusal, "no")))
    result = jobs(*BULK_START)
    assert result.exit_code in {ExitCode.ERROR, ExitCode.AUTHENTICATION}
    assert strait.sent(*BULK.split(" ")) == 1


def test_refusal_after_a_lost_answer_proves_nothing(jobs, strait):
    strait.job()
    strait.api.fault(BULK, None, after=True)
    for _ in range(2):
        strait.api.fault(BULK, envelope(Problem(429, "slow down")))
    assert jobs(*BULK_START).exit_code == ExitCode.START_UNKNOWN


@pytest.mark.parametrize(
    ("results", "started"),
    [
        ([], "started 0 runs"),
        ([{"id": "run-1", "status": "queued"}], "started 1 run"),
        ([{"id": "run-1", "status": "queued"}, {"error": "payload"}], "started 1 run"),
        ([{"id": "run-1"}, {"id": "run-2", "error": "payload"}], "started 1 run"),
        ([{"id": "run-1"}, {"id": "", "idempotency_hit": True}], "started 1 run"),
        ([{"id": "run-1"}, {"id": None}], "started 1 run"),
        ([None, 3], "started 0 runs"),
    ],
)
def test_bulk_start_that_leaves_something_out_is_no_success(jobs, strait, results, started):
    strait.job()
    strait.api.fault(BULK, as_json(201, {"results": results}))
    result = jobs(*BULK_START, "--json")
    assert result.exit_code == ExitCode.ERROR
    assert result.json["error"]["code"] == "incomplete"
    assert result.json["data"]["results"] == results
    strait.api.fault(BULK, as_json(201, {"results": results}))
    assert jobs(*BULK_START).stdout.splitlines()[0] == started


def test_bulk_start_tells_old_runs_from_new_ones(jobs, strait):
    strait.job()
    items = '[{"idempotency_key": "nightly"}, {}]'
    first = jobs("bulk", "start", "export", "--items", items)
    assert "existed already" not in first.stdout
    again = jobs("bulk", "start", "export", "--items", items)
    assert "started 1 run, 1 existed already, batch" in again.stdout
    assert [line.endswith("existed already") for line in again.stdout.splitlines()[1:]] == [
        True,
        False,
    ]


@pytest.mark.parametrize(
    "items",
    [
        '[{"idempotency_key": ""}]',
        '[{"idempotency_key": " "}]',
        '[{"idempotency_key": 5}]',
        '[{}, {"idempotency_key": false}]',
    ],
)
def test_trigger_whose_key_is_none_is_not_sent(jobs, strait, items):
    assert jobs("bulk", "start", "export", "--items", items).exit_code == ExitCode.USAGE
    assert strait.api.log == []


def test_trigger_with_a_null_key_is_started_once_whatever_is_lost(jobs, strait):
    strait.job()
    strait.api.fault(BULK, None, after=True)
    items = '[{"idempotency_key": null, "payload": 1}]'
    assert jobs("bulk", "start", "export", "--items", items).exit_code == ExitCode.OK
    assert len(strait.world.runs) == 1


@pytest.mark.parametrize("key", ["", " ", "caf\u00e9", "a\nb", "k" * 257])
def test_bulk_start_under_a_key_that_is_none_sends_nothing(jobs, strait, key):
    assert jobs(*BULK_START, "--idempotency-key", key).exit_code == ExitCode.USAGE
    assert strait.api.log == []


@pytest.mark.parametrize("verb", ["cancel", "replay"])
def test_too_many_ids_send_nothing(jobs, strait, verb):
    ids = [f"run-{number}" for number in range(101)]
    assert jobs("bulk", verb, *ids).exit_code == ExitCode.USAGE
    assert jobs("bulk", verb, "same", "same").exit_code == ExitCode.USAGE
    assert strait.api.log == []


# Jobs.


def test_job_is_created_listed_and_shown(jobs, strait, tm):
    description = (
        '{"project_id": "proj-1", "name": "Fresh", "slug": "fresh", '
        '"endpoint_url": "https://jobs.example/fresh"}'
    )
    assert jobs("definitions", "create", description).exit_code == ExitCode.OK
    assert "fresh" in jobs("definitions", "list").stdout
    shown = jobs("definitions", "show", "fresh", "--json").json["data"]
    assert shown["endpoint_url"] == "https://jobs.example/fresh"
    again = jobs("definitions", "create", description)
    assert again.exit_code == ExitCode.ERROR
    assert "slug already exists" in again.stderr


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_secrets_of_a_job_are_not_shown(jobs, strait, form):
    secrets = {"webhook_secret": "hush-1", "endpoint_signing_secret": "hush-2"}
    strait.job(**secrets)
    description = (
        '{"project_id": "proj-1", "name": "F", "slug": "f", "endpoint_url": "https://jobs.example"'
        ', "endpoint_signing_secret": "hush-3"}'
    )
    for words in (("create", description), ("list",), ("show", "export"), ("show", "f")):
        result = jobs("definitions", *words, *form)
        assert result.exit_code == ExitCode.OK
        assert "hush" not in result.stdout + result.stderr


def test_details_of_a_validation_error_are_told(jobs, strait):
    result = jobs("definitions", "create", '{"name": "x"}')
    assert "project_id: failed on 'required'" in result.stderr


def test_missing_scope_is_told(jobs, strait):
    strait.api.scopes = {"runs:read"}
    result = jobs("cancel", UNKNOWN)
    assert result.exit_code == ExitCode.AUTHENTICATION
    assert "requires runs:write" in result.stderr


def test_server_error_hides_nothing_of_its_own(jobs, strait, run):
    strait.api.fault("POST /v1/runs/{run}/pause", envelope(Problem(500, "secret detail")))
    result = jobs("pause", run.id)
    assert result.exit_code == ExitCode.ERROR
    assert "internal server error (HTTP 500" in result.stderr
