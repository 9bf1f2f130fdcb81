"""Values of placeholders come from the environment or a command, and go with the start alone."""

from __future__ import annotations

import json
import stat
import sys

import pytest

from tests.services.trafficmorph import KEY, PROFILE, RUN, row
from tm_cli.exit_codes import ExitCode

DOCUMENT = """
name: checkout
duration: 1m
endpointUrl: ${BASE_URL:-http://localhost:8080}/checkout
points: [[0, 10], [60, 10]]
requestHeaders: {Authorization: "Bearer ${TOKEN}"}
"""
IMPORTED = {"id": PROFILE, "name": "checkout", "warnings": []}
STARTED = {"runId": RUN, "status": "RUNNING", "profileId": PROFILE}
SECRET = "s3cret-t0ken"


@pytest.fixture
def start(tm, server, tmp_path):
    path = tmp_path / "checkout.yaml"

    def run(text=DOCUMENT, *more, **environ):
        path.write_text(text)
        own = {"TM_BASE_URL": server.url, "TM_API_KEY": KEY}
        result = tm("runs", "start", str(path), *more, environ={**own, **environ})
        assert SECRET not in result.stdout + result.stderr
        return result

    return run


def expect(server, body):
    server.features(startValues=True).answer("POST", "/profiles/import", IMPORTED)
    server.profile()
    return server.answer("POST", f"/profiles/{PROFILE}/runs", STARTED, body=body)


def test_values_go_with_the_start_and_the_profile_keeps_the_placeholders(start, server):
    values = {"BASE_URL": "http://staging:80", "TOKEN": SECRET}
    expect(server, {"values": values})
    assert start(**values).exit_code == ExitCode.OK
    imported = json.loads(server.requests[1][0].data)
    assert imported["endpointUrl"] == "${BASE_URL:-http://localhost:8080}/checkout"
    assert SECRET not in json.dumps(imported)


def test_a_default_is_the_servers_to_fill_in(start, server):
    expect(server, {"values": {"TOKEN": SECRET}})
    assert start(TOKEN=SECRET).exit_code == ExitCode.OK


@pytest.mark.parametrize(
    ("environ", "problem"),
    [
        ({}, "checkout.yaml: requestHeaders.Authorization uses ${TOKEN}, which is not set"),
        ({"TOKEN": ""}, "uses ${TOKEN}, which is empty in the environment"),
    ],
)
def test_a_value_that_is_missing_is_named_and_nothing_is_sent(start, server, environ, problem):
    server.features(startValues=True)
    result = start(**environ)
    assert result.exit_code == ExitCode.CONFIGURATION
    assert problem in result.stderr


def test_keys_of_servers_go_to_no_target(start, server):
    server.features(startValues=True)
    result = start(DOCUMENT.replace("${TOKEN}", "${TM_API_KEY}"))
    assert result.exit_code == ExitCode.CONFIGURATION
    assert "uses ${TM_API_KEY}, which holds a key that no target may get" in result.stderr


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("", "fill in ${NAME} when a run starts"),
        ('data: [{name: a, csv: "a\\n1"}]', "fill in requests from data"),
        ("clientCertificate: c.pem", "show a client certificate to the target"),
        ("httpVersion: 2", "choose the version of HTTP"),
    ],
)
@pytest.mark.parametrize("command", ["start", "import"])
def test_another_server_gets_none_of_it(tm, server, tmp_path, line, words, command):
    text = DOCUMENT.replace("${TOKEN}", "none").replace("${BASE_URL:-http://localhost:8080}", "x")
    text = text.replace("x/checkout", "https://shop.example/") if line else DOCUMENT
    path = tmp_path / "checkout.yaml"
    path.write_text(text + line)
    server.features(runLimits=True)
    argv = ("runs", "start") if command == "start" else ("profiles", "import")
    environ = {"TM_BASE_URL": server.url, "TM_API_KEY": KEY, "TOKEN": SECRET}
    result = tm(*argv, str(path), environ=environ)
    assert result.exit_code == ExitCode.REFUSED
    assert f"this server cannot {words}" in result.stderr


def test_a_stored_profile_takes_values_from_the_environment_and_no_command(tm, server):
    hostile = {"command": [sys.executable, "-c", "raise SystemExit"], "directory": "/"}
    server.profile(requestBody="${TOKEN}", tokenCommand=hostile).features(startValues=True)
    environ = {"TM_BASE_URL": server.url, "TM_API_KEY": KEY}
    result = tm("runs", "start", "42", environ=environ)
    assert result.exit_code == ExitCode.CONFIGURATION
    assert "requestBody uses ${TOKEN}, which is not set" in result.stderr


def test_a_stored_profile_of_another_server_means_the_text_itself(tm, server):
    server.profile(requestBody="${TOKEN}").features(runLimits=True).start()
    environ = {"TM_BASE_URL": server.url, "TM_API_KEY": KEY}
    assert tm("runs", "start", "42", environ=environ).exit_code == ExitCode.OK


@pytest.fixture
def with_command(tmp_path):
    def text(code, *more):
        script = tmp_path / "token.py"
        script.write_text(f"#!{sys.executable}\n{code}\n")
        script.chmod(script.stat().st_mode | stat.S_IXUSR)
        command = json.dumps([sys.executable, "token.py"])
        return "\n".join([DOCUMENT, f"tokenCommand: {command}", *more, ""])

    return text


@pytest.mark.process
def test_a_command_prints_the_token(start, server, with_command):
    expect(server, {"values": {"TOKEN": SECRET}})
    assert start(with_command(f"print('{SECRET}')")).exit_code == ExitCode.OK
    assert not {"tokenCommand", "tokenRefresh"} & json.loads(server.requests[1][0].data).keys()


@pytest.mark.process
@pytest.mark.parametrize(
    ("code", "problem", "hint"),
    [
        ("import sys; sys.exit(f'no login for {1}')", "ended with exit code 1", "no login for 1"),
        (f"import sys; sys.exit('{SECRET} is wrong')", "exit code 1", "${KEY} is wrong"),
        ("", "printed no token", ""),
        ("print('a\\nb')", "printed several lines", ""),
        ("import os; os.write(1, b'\\xff')", "printed what is not UTF-8 text", ""),
        ("print('a' * 60_000)", "printed more than 50,000 bytes", ""),
    ],
)
def test_a_command_that_fails_starts_nothing(start, server, with_command, code, problem, hint):
    server.features(startValues=True)
    text = with_command(code).replace("/checkout\n", "/checkout?k=${KEY}\n")
    result = start(text, KEY=SECRET)
    assert result.exit_code == ExitCode.CONFIGURATION
    assert problem in result.stderr
    assert hint in result.stderr


@pytest.mark.process
def test_a_command_that_is_not_there_starts_nothing(start, server):
    server.features(startValues=True)
    result = start(DOCUMENT + "tokenCommand: ./nothing-here\n")
    assert result.exit_code == ExitCode.CONFIGURATION
    assert "cannot be started: No such file" in result.stderr


@pytest.mark.process
def test_a_token_is_renewed_while_the_run_is_waited_for(start, server, with_command):
    renewable = {"values": {"TOKEN": SECRET}, "renewable": ["TOKEN"]}
    server.features(startValues=True).answer("POST", "/profiles/import", IMPORTED).profile()
    server.snapshot().answer("POST", f"/profiles/{PROFILE}/runs", STARTED, body=renewable)
    server.status().status().status()
    path = f"/profiles/{PROFILE}/runs/{RUN}/values"
    server.answer("PUT", path, code=204, text="", body={"values": {"TOKEN": SECRET}})
    server.status("COMPLETED").scan(row()).detail()
    text = with_command(f"print('{SECRET}')", "tokenRefresh: 10s")
    result = start(text, "--wait", "--fail-on", "FAIL", "--poll-interval", "6s")
    assert result.exit_code == ExitCode.OK, result.stderr
