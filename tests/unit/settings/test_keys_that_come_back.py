"""A key that a server sends back shows nowhere: not in messages, documents, reports or outputs."""

from __future__ import annotations

import json

import pytest

from tests.services.trafficmorph import KEY, row
from tm_cli.api.errors import HttpError, InvalidResponse
from tm_cli.api.responses import RawAnswer, parse_response, read_error
from tm_cli.exit_codes import ExitCode

REPORTS = [
    word
    for form in ("json", "junit", "markdown", "html", "csv", "dotenv", "metrics")
    for word in ("--report", f"{form}=gate.{form}")
]
JSON = {"content-type": "application/json"}


def shown(tm, result):
    """Whatever a user, a runner or an artifact gets to see."""
    files = [path.read_text() for path in tm.cwd.rglob("*") if path.is_file()]
    return "\n".join([result.stdout, result.stderr, *files])


@pytest.mark.parametrize("wants_json", [True, False], ids=["json", "text"])
def test_error_that_names_the_key(gate, tm, server, wants_json):
    server.error("GET", "/profiles", 401, f"the key {KEY} is not known here")
    result = gate("profiles", "list", *(["--json"] * wants_json))
    assert result.exit_code == ExitCode.AUTHENTICATION
    assert "the key *** is not known here" in shown(tm, result)
    assert KEY not in shown(tm, result)


def test_gate_that_is_refused_with_the_key(tm, server):
    server.error("GET", "/profiles/42", 403, f"{KEY} may not do this", code=f"NO_{KEY}")
    environ = {"GITHUB_ACTIONS": "true", "TM_BASE_URL": server.url, "TM_API_KEY": KEY}
    for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"):
        environ[name] = str(tm.cwd / name)
    argv = ("runs", "start", "42", "--wait", "--fail-on", "FAIL", *REPORTS)
    result = tm(*argv, environ=environ)
    assert result.exit_code == ExitCode.AUTHENTICATION
    assert "*** may not do this" in shown(tm, result)
    assert KEY not in shown(tm, result)


def test_verdict_that_rests_on_the_key(gate, tm, server):
    hostile = row(autoVerdictReasons=json.dumps([f"seen {KEY} in the request"]), tags=[KEY])
    server.until_ended().scan(hostile)
    server.error("GET", "/history/7", 400, KEY)
    argv = ("runs", "start", "42", "--wait", "--fail-on", "FAIL", *REPORTS)
    result = gate(*argv)
    assert result.exit_code == ExitCode.OK
    assert "seen *** in the request" in shown(tm, result)
    assert KEY not in shown(tm, result)


@pytest.mark.parametrize(
    "answer",
    [
        RawAnswer("GET /x", 302, {"location": f"https://login.example/?key={KEY}"}, b""),
        RawAnswer("GET /x", 200, {"content-type": f"text/{KEY}"}, b""),
        RawAnswer(
            "GET /x", 200, JSON, json.dumps({KEY: 1}).encode()[:-1] + f',"{KEY}":2}}'.encode()
        ),
        RawAnswer("GET /x", 500, JSON, json.dumps({"error": KEY, "code": KEY}).encode()),
        RawAnswer("GET /x", 500, JSON, json.dumps({"error": KEY}).replace("t", "\\u0074").encode()),
    ],
    ids=["redirect", "content-type", "repeated-key", "error", "escaped"],
)
def test_error_of_the_transport_hides_it(answer):
    with pytest.raises((HttpError, InvalidResponse)) as caught:
        parse_response(answer, read_error, secret=KEY)
    assert KEY not in f"{caught.value!r} {caught.value.message} {caught.value.hint}"
    assert "***" in caught.value.message


def test_document_too_deep_to_be_searched_is_no_answer():
    deep = b"[" * 100_000 + b"]" * 100_000
    with pytest.raises(InvalidResponse, match="too deeply"):
        parse_response(RawAnswer("GET /x", 200, JSON, deep), read_error, secret=KEY)


@pytest.mark.parametrize("key", ["string", "test", "PASS", "run", "a", "COMPLET"])
def test_short_key_is_not_looked_for_in_what_is_read(tm, server, key):
    server.key = key
    server.until_ended().scan(row(autoVerdict="PASS", tags=["test"]))
    server.detail(autoVerdict="PASS")
    environ = {"TM_BASE_URL": server.url, "TM_API_KEY": key}
    result = tm("runs", "start", "42", "--wait", "--fail-on", "FAIL", "--json", environ=environ)
    assert result.exit_code == ExitCode.OK
    assert result.json["data"]["verdict"] == "PASS"
    assert "***" not in result.stdout


@pytest.mark.parametrize("wants_json", [True, False], ids=["json", "text"])
def test_short_key_is_hidden_in_errors(tm, server, wants_json):
    server.key = "s3cr"
    server.error("GET", "/profiles", 401, "no key s3cr is known here")
    environ = {"TM_BASE_URL": server.url, "TM_API_KEY": "s3cr"}
    result = tm("profiles", "list", *(["--json"] * wants_json), environ=environ)
    assert "no key *** is known here" in shown(tm, result)
    assert "s3cr" not in result.stdout + result.stderr


@pytest.mark.parametrize(
    "argv",
    [
        ("auth", "login", KEY),
        ("auth", "logout", KEY),
        ("auth", KEY),
        ("auth", "login", KEY, "--json"),
        ("config", "show", "--api-key-file", KEY),
        ("config", "show", "--api-key-file", KEY, "--json"),
        ("doctor", "--api-key-file", KEY),
        ("profiles", "list", "--api-key-file", KEY),
        ("profiles", "list", "--base-url", KEY),
        ("profiles", "list", "--base-url", KEY, "--json"),
        ("profiles", "list", "--base-url", f"https://ada:{KEY}@b@h/"),
        ("profiles", "list", "--base-url", f"https://h/?api_key={KEY}", "--json"),
        ("benchmarks", "list", "--base-url", KEY),
        ("agent", "--region", "a", "--server", KEY),
    ],
    ids=" ".join,
)
def test_key_in_the_wrong_place_is_not_shown(tm, argv):
    result = tm(*argv)
    assert KEY not in result.stdout + result.stderr


def test_mistyped_command_is_still_corrected(tm):
    assert "Did you mean 'login'?" in tm("auth", "lgoin").stderr


def test_address_and_key_that_are_swapped_are_not_shown(tm):
    environ = {"TM_BASE_URL": KEY, "TM_API_KEY": "https://tm.example"}
    for argv in (("profiles", "list"), ("doctor",), ("config", "show"), ("auth", "status")):
        result = tm(*argv, "--json", environ=environ)
        assert result.exit_code == ExitCode.CONFIGURATION
        assert KEY not in result.stdout + result.stderr
