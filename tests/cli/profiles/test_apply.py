"""`tm profiles apply` and `diff`: what is compared, written and deleted, and what is not."""

import json

import pytest

from tm_cli.exit_codes import ExitCode
from tm_cli.runtime.signals import SignalReceived

DOCUMENT = (
    "name: {name}\nduration: 1m\nendpointUrl: http://localhost:8080/\npoints: [[0, 5], [60, 5]]\n"
)
EXPORTED = {
    "_format": "trafficmorph-profile-v1",
    "name": "a",
    "duration": 60,
    "endpointUrl": "http://localhost:8080/",
    "points": [{"x": 0.0, "y": 5.0}, {"x": 60.0, "y": 5.0}],
    "httpMethod": "GET",
    "interpolationMode": "LINEAR",
    "loop": False,
    "requestHeaders": None,
    "autoAlertRecipients": [],
    "readinessUrl": "http://localhost:8080/health",
    "schedule": {"mode": "ONCE", "timezone": "UTC", "slots": []},
}


@pytest.fixture
def documents(tm):
    def write(*names):
        (tm.cwd / "p").mkdir(exist_ok=True)
        for name in names:
            (tm.cwd / "p" / f"{name}.yaml").write_text(DOCUMENT.format(name=name))

    return write


def stored(server, *names):
    server.answer("GET", "/profiles", [{"id": n, "name": name} for n, name in enumerate(names, 1)])


def imported(server, number, name, **more):
    answer = {"id": number, "name": name, "warnings": [], **more}
    server.answer("POST", "/profiles/import", answer, code=201)


def actions(result):
    return [item["action"] for item in result.json["data"]["results"]]


def test_each_document_is_created_updated_or_left_alone(gate, server, documents):
    documents("a", "b", "c")
    stored(server, "A", "b")
    server.answer("GET", "/profiles/1/export", EXPORTED)
    server.answer("GET", "/profiles/2/export", {**EXPORTED, "name": "b", "duration": 90})
    imported(server, 2, "b")
    imported(server, 3, "c", warnings=["the schedule was not kept"])
    result = gate("profiles", "apply", "p")
    assert (result.exit_code, result.stdout.splitlines()) == (
        ExitCode.OK,
        [
            "unchanged  p/a.yaml: a (1)",
            "updated    p/b.yaml: b (2): duration",
            "created    p/c.yaml: c (3)",
            "1 unchanged, 1 updated, 1 created",
        ],
    )
    assert "p/c.yaml: the server warns: the schedule was not kept" in result.stderr


def test_a_failure_does_not_hide_the_rest(gate, server, documents):
    documents("a", "b")
    stored(server)
    server.error("POST", "/profiles/import", 400, "Profile limit reached (1)")
    imported(server, 2, "b")
    result = gate("profiles", "apply", "p", "--json")
    assert (result.exit_code, actions(result)) == (ExitCode.ERROR, ["failed", "created"])
    assert "Profile limit reached" in result.json["data"]["results"][0]["error"]
    assert result.json["error"]["code"] == "incomplete"


def test_nothing_is_sent_unless_every_document_is_right(gate, documents, tm):
    documents("a", "b")
    (tm.cwd / "p" / "c.yaml").write_text("name: c\nduraton: 1\n")
    (tm.cwd / "p" / "d.json").write_text(json.dumps({**EXPORTED, "name": " A"}))
    result = gate("profiles", "apply", "p")
    assert result.exit_code == ExitCode.CONFIGURATION
    assert "c.yaml:2:1: unknown key 'duraton'; did you mean duration?" in result.stdout
    assert "name 'A' is also that of" in result.stdout
    assert "nothing was changed" in result.stderr


def test_blanks_around_a_name_are_no_difference(gate, server, tm, documents):
    documents("a")
    (tm.cwd / "p" / "a.yaml").write_text(DOCUMENT.format(name='" a\\t"'))
    stored(server, "a")
    server.answer("GET", "/profiles/1/export", EXPORTED)
    assert gate("profiles", "apply", "p").stdout.startswith("unchanged")


def test_a_dry_run_writes_nothing(gate, server, documents):
    documents("a", "b")
    stored(server, "a", "old")
    server.answer("GET", "/profiles/1/export", {**EXPORTED, "duration": 90})
    server.answer("GET", "/profiles/2/status", {"status": "IDLE"})
    result = gate("profiles", "apply", "p", "--prune", "--dry-run", "--json")
    assert (result.exit_code, actions(result)) == (ExitCode.OK, ["update", "create", "delete"])
    assert result.json["data"]["results"][0]["changes"][0]["key"] == "duration"


def test_prune_deletes_what_no_file_names_but_nothing_that_runs(gate, server, documents):
    documents("a")
    stored(server, "a", "idle", "busy")
    server.answer("GET", "/profiles/1/export", EXPORTED)
    server.answer("GET", "/profiles/2/status", {"status": "COMPLETED"})
    server.answer("DELETE", "/profiles/2", text="", code=204)
    server.answer("GET", "/profiles/3/status", {"status": "PAUSED"})
    result = gate("profiles", "apply", "p", "--prune", "--yes", "--json")
    assert (result.exit_code, actions(result)) == (ExitCode.ERROR, ["unchanged", "deleted", "kept"])


def test_prune_keeps_what_a_document_in_a_deeper_directory_names(gate, server, tm, documents):
    documents("a")
    (tm.cwd / "p" / "team").mkdir()
    (tm.cwd / "p" / "team" / "b.yaml").write_text("name: B\nduraton: 1\n")
    stored(server, "a", "b")
    server.answer("GET", "/profiles/1/export", EXPORTED)
    result = gate("profiles", "apply", "p", "--prune", "--yes", "--json")
    assert (result.exit_code, actions(result)) == (ExitCode.OK, ["unchanged"])


def test_prune_asks_first_and_names_what_would_go(gate, server, documents):
    documents("a")
    stored(server, "old")
    result = gate("profiles", "apply", "p", "--prune")
    assert result.exit_code == ExitCode.USAGE
    assert "--yes is required to delete 1 profile that no file names: 1 (old)" in result.stderr


def test_prune_deletes_nothing_after_a_failure(gate, server, documents):
    documents("a")
    stored(server, "old")
    server.error("POST", "/profiles/import", 400, "no")
    result = gate("profiles", "apply", "p", "--prune", "--yes", "--json")
    assert (result.exit_code, actions(result)) == (ExitCode.ERROR, ["failed", "kept"])


def test_a_server_that_is_gone_ends_the_work_and_what_is_left_is_named(gate, server, documents):
    documents("a", "b", "c")
    stored(server)
    imported(server, 1, "a")
    server.error("POST", "/profiles/import", 401, "Authentication required")
    result = gate("profiles", "apply", "p", "--json")
    assert (result.exit_code, actions(result)) == (ExitCode.AUTHENTICATION, ["created"])
    assert [name[-6:] for name in result.json["data"]["not_tried"]] == ["b.yaml", "c.yaml"]


def test_a_busy_server_gets_the_pause_that_it_asks_for(gate, server, documents, clock):
    documents("a")
    stored(server)
    server.error("POST", "/profiles/import", 429, "slow down", headers={"Retry-After": "7"})
    imported(server, 1, "a")
    assert gate("profiles", "apply", "p").exit_code == ExitCode.OK
    assert clock.slept == [7]


def test_twins_are_not_chosen_from(gate, server, documents):
    documents("a")
    stored(server, "a", "A")
    result = gate("profiles", "apply", "p")
    assert (result.exit_code, "2 profiles have this name: 1, 2" in result.stdout) == (1, True)


@pytest.mark.parametrize("argv", [("p/a.yaml", "--prune"), ("nothing",), ("empty",), ("x.py",)])
def test_a_path_that_cannot_be_applied_is_refused(gate, documents, tm, argv):
    documents("a")
    (tm.cwd / "empty").mkdir()
    assert gate("profiles", "apply", *argv).exit_code in (ExitCode.USAGE, ExitCode.CONFIGURATION)


def test_a_document_that_is_equal_has_no_differences(gate, server, documents):
    documents("a")
    stored(server, "a")
    server.answer("GET", "/profiles/1/export", EXPORTED)
    assert gate("profiles", "diff", "p/a.yaml").exit_code == ExitCode.OK


def test_differences_are_told_by_key_and_secrets_are_not(gate, server, documents, tm):
    documents("a")
    more = "requestHeaders: {X-Token: here, Accept: a}\ngate: {p95: {fail: 30%}}\nloop: true\n"
    (tm.cwd / "p" / "a.yaml").write_text(DOCUMENT.format(name="a") + more)
    stored(server, "a")
    headers = json.dumps([{"name": "X-Token", "value": "there"}])
    changes = {"requestHeaders": headers, "gate": {"p95": {"fail": 20}}, "responseScript": "f()"}
    server.answer("GET", "/profiles/1/export", {**EXPORTED, **changes})
    result = gate("profiles", "diff", "p/a.yaml", "--json")
    assert (result.exit_code, result.json["error"]["code"]) == (ExitCode.ERROR, "different")
    found = {
        item["key"]: (item["server"], item["document"])
        for item in result.json["data"]["differences"]
    }
    assert found == {
        "requestHeaders.X-Token": ("***", "***"),
        "requestHeaders.Accept": (None, "a"),
        "gate.p95.fail": (20, 30),
        "loop": (None, True),
        "responseScript": ("f()", None),
    }


@pytest.mark.parametrize(
    "changes",
    [
        {"requestHeaders": json.dumps([{"name": "Authorization", "value": "Bearer s3cret"}])},
        {"steps": [{"request": "GET /", "headers": {"Cookie": "a=s3cret"}}]},
        {"steps": [{"request": "GET /", "headers": [{"name": "X-Api-Key", "value": "s3cret"}]}]},
        {"steps": [{"request": "GET /?api_key=s3cret", "body": {"auth": {"user": "s3cret"}}}]},
        {"requestPayload": '{"password": "s3cret"}'},
        {"requestPayload": '{ "password":"s3cret" }'},
        {"requestPayload": "user=ada&password=s3cret"},
        {"endpointUrl": "http://ada:s3cret@shop.test/"},
        {"callbackUrl": "http://shop.test/?token=s3cret&a=1"},
        {"initScript": 'const password = "s3cret"; login({token: "s3cret"})'},
    ],
)
@pytest.mark.parametrize("form", [(), ("--json",)])
def test_a_difference_shows_no_secret_wherever_it_is(gate, server, documents, changes, form):
    documents("a")
    stored(server, "a")
    server.answer("GET", "/profiles/1/export", {**EXPORTED, **changes})
    result = gate("profiles", "diff", "p/a.yaml", *form)
    assert next(iter(changes)) in result.stdout
    assert "***" in result.stdout
    assert "s3cret" not in result.stdout + result.stderr


def test_an_interrupted_apply_says_what_it_has_done(gate, server, documents, clock, monkeypatch):
    documents("a", "b")
    stored(server)
    imported(server, 1, "a")
    server.error("POST", "/profiles/import", 429, "slow down", headers={"Retry-After": "7"})

    def interrupt(_seconds):
        raise SignalReceived(2)

    monkeypatch.setattr(clock, "sleep", interrupt)
    result = gate("profiles", "apply", "p", "--json")
    assert (result.exit_code, actions(result)) == (ExitCode.INTERRUPTED, ["created"])
    assert result.json["data"]["not_tried"] == ["p/b.yaml"]
