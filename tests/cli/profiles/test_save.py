"""`tm profiles create` and `update`: what is sent, and what is never lost."""

import io
import json

import pytest

from tests.services.trafficmorph import PROFILE, profile
from tm_cli.exit_codes import ExitCode

LOAD = ("--target", "http://localhost:8080/", "--rate", "20", "--duration", "1m")
STORED = {
    "requestHeaders": json.dumps([{"name": "Accept", "value": "a/b"}]),
    "initScript": "function init() {}",
    "variablesSetIds": [5],
    "region": "eu",
    "callbackUrl": "http://localhost/done",
    "schedule": {"mode": "PERIODIC", "timezone": "UTC", "slots": [{"id": 1}]},
    "addedNextYear": {"a": [1]},
}
TAKEN = {"id": 9, "name": " Checkout"}


def sent(server):
    return json.loads(server.requests[-1][0].get_data())


def test_what_the_server_lacks_is_refused_before_it_is_left_out(gate, server):
    server.features(warmup=False)
    result = gate("profiles", "create", "checkout", *LOAD, "--set", "warmup=10s")
    assert (result.exit_code, "nothing was created" in result.stderr) == (ExitCode.REFUSED, True)


def test_a_new_profile_has_what_the_options_say(gate, server):
    server.answer("GET", "/profiles", []).answer("POST", "/profiles", profile(), code=201)
    result = gate("profiles", "create", "checkout", *LOAD, "--header", "A: b", "--region", "eu")
    assert (result.exit_code, result.stdout) == (ExitCode.OK, "created profile 42: checkout\n")
    assert sent(server) == {
        "name": "checkout",
        "targetUrl": "http://localhost:8080/",
        "httpMethod": "GET",
        "interpolationMode": "LINEAR",
        "duration": 60,
        "points": [{"x": 0, "y": 20.0}, {"x": 60, "y": 20.0}],
        "requestHeaders": '[{"name": "A", "value": "b"}]',
        "region": "eu",
    }


def test_a_header_is_added_to_those_of_another_option(gate, server):
    server.answer("GET", "/profiles", []).answer("POST", "/profiles", profile(), code=201)
    headers = ("--set", "requestHeaders={A: b}", "--header", "C: d")
    assert gate("profiles", "create", "checkout", *LOAD, *headers).exit_code == ExitCode.OK
    found = json.loads(sent(server)["requestHeaders"])
    assert {item["name"]: item["value"] for item in found} == {"A": "b", "C": "d"}


def test_options_take_precedence_over_a_document(gate, server, tm):
    text = "name: a\nendpointUrl: http://x/\nduration: 1m\npoints: [[0, 5], [60, 5]]\n"
    (tm.cwd / "a.yaml").write_text(text + "loop: true\ncallbackUrl: http://x/done\n")
    server.answer("GET", "/profiles", []).answer("POST", "/profiles", profile(), code=201)
    argv = ("a.yaml", "--name", "b", "--body", "x", "--set", "callbackUrl=null", "--no-loop")
    assert gate("profiles", "create", *argv).exit_code == ExitCode.OK
    found = {key: sent(server).get(key) for key in ("name", "httpMethod", "loop", "callbackUrl")}
    assert found == {"name": "b", "httpMethod": "POST", "loop": False, "callbackUrl": None}


def test_a_taken_name_is_refused_unless_it_is_to_be_overwritten(gate, server):
    server.answer("GET", "/profiles", [TAKEN])
    refused = gate("profiles", "create", "CHECKOUT ", *LOAD, "--json")
    assert (refused.exit_code, refused.json["error"]["code"]) == (ExitCode.REFUSED, "name_taken")
    server.answer("GET", "/profiles", [TAKEN]).answer("GET", "/profiles/9", profile(**STORED))
    server.answer("POST", "/profiles", profile(id=9), code=201)
    done = gate("profiles", "create", "checkout", *LOAD, "--overwrite", "--json")
    assert done.json["data"]["action"] == "overwritten"
    for key in ("initScript", "variablesSetIds", "region"):  # no document has them
        assert sent(server)[key] == STORED[key]
    assert "callbackUrl" not in sent(server)


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ((), "--target"),
        (("--rate", "5"), "--rate needs --duration"),
        ((*LOAD, "--points", "0:1"), "exclude each other"),
        ((*LOAD[:2], "--duration", "1m", "--points", "0:1,x"), "'x' is not TIME:RATE"),
        ((*LOAD[:2], "--duration", "1m", "--points", "0:1,2m:5"), "beyond the duration"),
        ((*LOAD, "--method", "GETT"), "--method: is 'GETT'"),
        ((*LOAD, "--header", "nothing"), "--header"),
        ((*LOAD, "--set", "warmpu=1"), "--set warmpu: unknown key 'warmpu'; did you mean warmup?"),
        ((*LOAD, "--set", "gate={p95: 10%}"), "--set gate.p95 must be"),
        ((*LOAD, "--set", "region=eu"), "an option of its own"),
        ((*LOAD, "--set", "name=null"), "it cannot be empty"),
    ],
)
def test_what_cannot_be_used_is_named_before_anything_is_sent(gate, argv, words):
    result = gate("profiles", "create", "checkout", *argv)
    assert result.exit_code == ExitCode.USAGE
    assert words in result.stderr


def read_twice(server, second=None, **stored):
    server.answer("GET", f"/profiles/{PROFILE}", profile(**stored))
    server.answer("GET", f"/profiles/{PROFILE}", profile(**{**stored, **(second or {})}))


def test_an_update_sends_back_all_that_it_does_not_change(gate, server):
    read_twice(server, **STORED)
    server.answer("PUT", f"/profiles/{PROFILE}", profile(**STORED, httpMethod="PUT"))
    result = gate("profiles", "update", "42", "--method", "put", "--json")
    changes = [{"key": "httpMethod", "before": None, "after": "PUT"}]
    assert (result.exit_code, result.json["data"]["changes"]) == (ExitCode.OK, changes)
    whole = profile(**STORED, httpMethod="PUT")
    for key in ("id", "createdAt", "callbackSecret", "status", "schedule"):
        del whole[key]  # the server's own, and what is kept when it is missing
    assert sent(server) == whole
    assert "s3cret" not in result.stdout


@pytest.mark.parametrize(
    ("options", "stored", "shown"),
    [
        (
            ("--header", "Authorization: Bearer s3cret"),
            {"requestHeaders": '[{"name": "Authorization", "value": "Bearer s3cret"}]'},
            {"Authorization": "***"},
        ),
        (
            ("--body", '{"user":"x","password":"s3cret"}'),
            {"requestBody": '{"user":"x","password":"s3cret"}'},
            '{"user":"x","password":"***"}',
        ),
        (
            ("--body", '[{"deep": [{"token": "s3cret"}]}]'),
            {"requestBody": '[{"deep": [{"token": "s3cret"}]}]'},
            [{"deep": [{"token": "***"}]}],
        ),
        (
            ("--body", "token=s3cret&a=b"),
            {"requestBody": "token=s3cret&a=b"},
            "token=***&a=b",
        ),
        (
            ("--callback-url", "http://me:s3cret@x/done?a=b&token=s3cret"),
            {"callbackUrl": "http://me:s3cret@x/done?a=b&token=s3cret"},
            "http://***@x/done?a=b&token=***",
        ),
    ],
    ids=["headers", "body", "list", "form", "URL"],
)
def test_a_new_value_is_told_without_its_secrets(gate, server, options, stored, shown):
    read_twice(server, requestHeaders=None, requestBody=None)
    bare = {"requestHeaders": None, "requestBody": None}
    server.answer("PUT", f"/profiles/{PROFILE}", profile(**bare | stored))
    result = gate("profiles", "update", "42", *options, "--json")
    assert [each["after"] for each in result.json["data"]["changes"]] == [shown]


def test_an_update_that_changes_nothing_writes_nothing(gate, server):
    server.answer("GET", f"/profiles/{PROFILE}", profile(**STORED))
    result = gate("profiles", "update", "42", "--method", "POST", "--header", "Accept: a/b")
    assert result.stdout == "unchanged profile 42: checkout\n"


def test_a_header_is_added_replaced_and_removed(gate, server):
    read_twice(server, **STORED)
    server.answer("PUT", f"/profiles/{PROFILE}", profile(**STORED))
    gate("profiles", "update", "42", "--header", "ACCEPT:", "--header", "B: c:d")
    assert json.loads(sent(server)["requestHeaders"]) == [{"name": "B", "value": "c:d"}]


def test_a_document_changes_what_it_says_and_nothing_else(gate, server, tm):
    (tm.cwd / "part.yaml").write_text("duration: 2m\ncallbackUrl:\n")
    read_twice(server, **STORED)
    server.answer("PUT", f"/profiles/{PROFILE}", profile(**STORED, duration=120))
    assert gate("profiles", "update", "42", "part.yaml").exit_code == ExitCode.OK
    assert (sent(server)["duration"], sent(server)["callbackUrl"]) == (120, STORED["callbackUrl"])


def test_a_change_of_another_client_is_kept_and_told(gate, server):
    second = {"region": "us", "duration": 90}
    read_twice(server, second, **STORED)
    saved = {**STORED, **second, "duration": 70}
    server.answer("PUT", f"/profiles/{PROFILE}", profile(**saved))
    result = gate("profiles", "update", "42", "--duration", "70s")
    assert (sent(server)["region"], sent(server)["duration"]) == ("us", 70)
    assert "this keeps the new value of region" in result.stderr
    assert "this overwrites the new value of duration" in result.stderr


def test_a_value_that_the_server_does_not_take_is_named(gate, server):
    read_twice(server)
    server.answer("PUT", f"/profiles/{PROFILE}", profile())
    result = gate("profiles", "update", "42", "--region", "eu")
    assert "has not taken region" in result.stderr


def test_a_rename_onto_a_taken_name_is_refused(gate, server):
    server.answer("GET", f"/profiles/{PROFILE}", profile(name="other"))
    server.answer("GET", "/profiles", [TAKEN, {"id": PROFILE, "name": "other"}])
    result = gate("profiles", "update", "42", "--name", "checkout")
    assert result.exit_code == ExitCode.REFUSED
    assert "profile 9 is already named" in result.stderr


def test_a_curve_that_does_not_fit_the_new_duration_is_refused(gate, server):
    server.answer("GET", f"/profiles/{PROFILE}", profile())
    result = gate("profiles", "update", "42", "--duration", "30s")
    assert (result.exit_code, "points[1] is at 60s" in result.stderr) == (ExitCode.USAGE, True)


def test_variables_sets_are_named_and_detached(gate, server):
    server.answer("GET", f"/profiles/{PROFILE}", profile())
    server.answer("GET", "/variables-sets", [{"id": 3, "name": "users"}])
    server.answer("GET", f"/profiles/{PROFILE}", profile())
    server.answer("PUT", f"/profiles/{PROFILE}", profile(variablesSetIds=[3]))
    assert gate("profiles", "update", "42", "--variables-set", "users").exit_code == ExitCode.OK
    assert sent(server)["variablesSetIds"] == [3]
    read_twice(server, variablesSetIds=[3])
    server.answer("PUT", f"/profiles/{PROFILE}", profile(variablesSetIds=[]))
    assert gate("profiles", "update", "42", "--variables-set", "none").exit_code == ExitCode.OK
    assert sent(server)["variablesSetIds"] == []


def test_nothing_to_change_is_a_usage_error(gate):
    assert gate("profiles", "update", "42").exit_code == ExitCode.USAGE


def test_a_refusal_of_the_server_is_told(gate, server):
    read_twice(server)
    server.error("PUT", f"/profiles/{PROFILE}", 400, "targetUrl: blocked")
    result = gate("profiles", "update", "42", "--target", "http://10.0.0.1/")
    assert (result.exit_code, "targetUrl: blocked" in result.stderr) == (ExitCode.REFUSED, True)


def test_who_is_asked_sees_which_profile_is_to_be_deleted(gate, server, monkeypatch, capfd):
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    server.answer("GET", f"/profiles/{PROFILE}", profile())
    assert gate("profiles", "delete", "42", live=True).exit_code == ExitCode.USAGE
    assert "Delete profile 42 (checkout)?" in "".join(capfd.readouterr())
