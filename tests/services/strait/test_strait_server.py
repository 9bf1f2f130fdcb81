"""The test server does what the API contract says, odd corners included."""

import json
from datetime import timedelta

import pytest

from tests.services.strait.api import KEY, TRIGGER, Api, Problem, Request, as_json, envelope
from tests.services.strait.world import MOVES, TERMINAL, Illegal, World

HEADERS = {"authorization": f"Bearer {KEY}"}


@pytest.fixture
def api(clock):
    return Api(World(clock.now))


def ask(api, method, path, body=None, headers=HEADERS, **query):
    content = b"" if body is None else json.dumps(body).encode()
    lists = {name: [value] for name, value in query.items()}
    return api.answer(Request(method, path, lists, headers, content))


def trigger(api, job, key=None, **body):
    headers = HEADERS | ({"idempotency-key": key} if key else {})
    return ask(api, "POST", f"/v1/jobs/{job['id']}/trigger", body, headers)


def test_only_a_dead_letter_leaves_a_terminal_state():
    assert {status for status in TERMINAL if MOVES[status]} == {"dead_letter"}


def test_move_that_the_state_machine_forbids_is_refused(api):
    run = api.world.make_run(api.world.add_job("a")["id"])
    api.world.cancel(run)
    with pytest.raises(Illegal):
        api.world.move(run, "queued")


def test_run_goes_through_its_states_by_itself(api, clock):
    run = api.world.make_run(api.world.add_job("a")["id"])
    seen = []
    for _ in range(9):
        api.world.settle()
        seen.append(run.status)
        clock.sleep(1.0)
    assert list(dict.fromkeys(seen)) == ["queued", "executing", "completed"]


def test_run_that_waits_too_long_expires(api, clock):
    run = api.world.make_run(api.world.add_job("a", timeout_secs=60)["id"])
    run.due = None
    clock.sleep(120.0)
    api.world.settle()
    assert run.status == "expired"


def test_slug_is_no_id(api):
    job = api.world.add_job("export")
    assert ask(api, "GET", f"/v1/jobs/{job['id']}").status == 200
    assert ask(api, "GET", "/v1/jobs/export").status == 404
    assert ask(api, "POST", "/v1/jobs/export/trigger", {}).status == 404


def test_same_key_is_answered_with_a_copy_of_the_first_answer(api, clock):
    job = api.world.add_job("export")
    first = trigger(api, job, "k")
    clock.sleep(60.0)
    again = trigger(api, job, "k")
    assert again.body == first.body
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.document["idempotency_hit"] is False


def test_run_with_the_key_is_hit_where_no_answer_is_kept(api):
    job = api.world.add_job("export")
    run = api.world.make_run(job["id"], idempotency_key="k")
    answer = trigger(api, job, "k")
    assert answer.status == 200
    assert answer.document == {"id": run.id, "status": "queued", "idempotency_hit": True}


def test_key_is_free_after_a_day(api, clock):
    job = api.world.add_job("export")
    first = trigger(api, job, "k").document["id"]
    clock.sleep(25 * 3600.0)
    assert trigger(api, job, "k").document["id"] != first


@pytest.mark.parametrize("status", [400, 409, 422, 429])
def test_key_of_a_refused_trigger_is_in_use_for_a_day(api, clock, status):
    job = api.world.add_job("export")
    api.fault(TRIGGER, envelope(Problem(status, "no")))
    assert trigger(api, job, "k").status == status
    again = trigger(api, job, "k")
    assert again.status == 409
    assert "currently being processed" in again.document["error"]["message"]
    assert trigger(api, job, "another").status == 201
    clock.sleep(25 * 3600.0)
    assert trigger(api, job, "k").status == 201


@pytest.mark.parametrize("status", [401, 403, 500, 503])
def test_key_is_free_after_other_errors(api, status):
    job = api.world.add_job("export")
    api.fault(TRIGGER, envelope(Problem(status, "no")))
    assert trigger(api, job, "k").status == status
    assert trigger(api, job, "k").status == 201


def test_limit_is_estimated_from_two_windows(api, clock):
    api.limited = True
    job = api.world.add_job("export")
    clock.sleep(-clock.now().timestamp() % 60)
    assert [trigger(api, job).status for _ in range(10)] == [201] * 10
    clock.sleep(61.0)
    assert trigger(api, job).status == 429
    clock.sleep(6.0)
    assert trigger(api, job).status == 201


def test_dedup_answers_with_another_run_and_says_nothing(api):
    job = api.world.add_job("export", dedup_window_secs=60)
    first, second = trigger(api, job, "a"), trigger(api, job, "b")
    assert first.document == second.document


def test_children_repeat_on_the_second_page(api, clock):
    run = api.world.make_run(api.world.add_job("a")["id"])
    for _ in range(3):
        clock.sleep(1.0)
        api.world.make_run(run.job_id, parent_run_id=run.id)
    path = f"/v1/runs/{run.id}/children"
    first = ask(api, "GET", path, limit="2").document
    second = ask(api, "GET", path, limit="2", cursor=first["next_cursor"]).document
    assert second["data"] == first["data"][:1]


def test_cursor_of_the_lineage_leads_round_in_circles(api):
    run = api.world.make_run(api.world.add_job("a")["id"])
    for _ in range(3):
        api.world.make_run(run.job_id, continuation_of=run.id)
    path = f"/v1/runs/{run.id}/lineage"
    first = ask(api, "GET", path, limit="2").document
    again = ask(api, "GET", path, limit="2", cursor=first["next_cursor"]).document
    assert again == first


@pytest.mark.parametrize(
    ("method", "path", "headers", "status", "kind"),
    [
        ("GET", "/nowhere", HEADERS, 404, "text/plain"),
        ("PUT", "/v1/runs", HEADERS, 405, None),
        ("GET", "/v1/runs/x", HEADERS, 404, "application/json"),
        ("GET", "/v1/runs", {}, 401, "application/json"),
        ("GET", "/v1/runs", HEADERS | {"accept": "text/event-stream"}, 406, "application/json"),
        ("POST", "/v1/runs/x/pause", HEADERS | {"content-type": "text/x"}, 415, "application/json"),
    ],
    ids=lambda value: str(value) if isinstance(value, int | str) else "",
)
def test_errors_of_each_kind(api, method, path, headers, status, kind):
    reply = ask(api, method, path, headers=headers)
    assert (reply.status, reply.headers.get("Content-Type")) == (status, kind)


def test_unusual_statuses_carry_the_code_internal_error(api):
    run = api.world.make_run(api.world.add_job("a")["id"])
    api.world.cancel(run)
    reply = ask(api, "GET", f"/v1/runs/{run.id}/stream")
    assert (reply.status, reply.document["error"]["code"]) == (410, "internal_error")


def test_limiters_answer_in_plain_text(api):
    api.limited = True
    job = api.world.add_job("a")
    replies = [trigger(api, job) for _ in range(11)]
    assert [reply.status for reply in replies] == [201] * 10 + [429]
    assert replies[-1].headers == {"Content-Type": "text/plain", "Retry-After": "60"}
    assert [ask(api, "GET", "/v1/runs").status for _ in range(90)].count(429) == 1


def test_repeated_wrong_keys_lock_the_address(api):
    replies = [ask(api, "GET", "/v1/runs", headers={}) for _ in range(11)]
    assert replies[-1].status == 429


def test_revived_dead_letter_still_shows_dead_for_a_while(api, clock):
    api.world.cache_lag = 30.0
    run = api.world.make_run(api.world.add_job("a")["id"])
    api.world.move(run, "executing")
    api.world.move(run, "dead_letter")
    run.due = None
    ask(api, "POST", f"/v1/runs/{run.id}/dlq-replay")
    assert ask(api, "GET", f"/v1/runs/{run.id}").document["status"] == "dead_letter"
    assert ask(api, "GET", "/v1/runs").document["data"][0]["status"] == "queued"
    clock.sleep(31.0)
    assert ask(api, "GET", f"/v1/runs/{run.id}").document["status"] != "dead_letter"


def test_cancel_is_never_announced(api):
    said = []
    api.world.publish = lambda *message: said.append(message)
    run = api.world.make_run(api.world.add_job("a")["id"])
    api.world.cancel(run)
    assert said == []


def test_times_are_finer_than_a_microsecond(api):
    assert World.text(api.world.now() + timedelta(microseconds=1)).endswith("000001789Z")
    assert as_json(200, {}).headers["X-API-Version"] == "v1"
