"""Scripts of the Go `tm`, line by line as `docs/migration.md` promises."""

from __future__ import annotations

import json

import pytest

from tests.services.trafficmorph import KEY, PROFILE, RUN, detail, profile, row
from tm_cli.exit_codes import ExitCode

STARTED = {"runId": RUN, "status": "RUNNING", "profileId": PROFILE}
START = ("runs", "start", "42")
GATED = (*START, "--wait", "--fail-on-verdict", "FAIL,WARN")


def test_profiles_are_a_bare_array(gate, server):
    listed = [{"id": 42, "name": "checkout", "createdAt": "2026-02-01T09:00:00Z"}]
    server.answer("GET", "/profiles", listed)
    assert gate("profiles", "list", "--json=go").json == listed


@pytest.mark.parametrize("flags", [(), ("--json",), ("--json=true",), ("--json=go",)])
def test_profile_is_bare_and_without_its_secret(gate, server, flags):
    server.profile()
    found = gate("profiles", "get", "42", *flags)
    wanted = {name: value for name, value in profile().items() if name != "callbackSecret"}
    assert found.json == wanted
    assert '"duration": 60,' in found.stdout, "an integer stays one"
    assert '"x": 0,' in found.stdout


@pytest.mark.parametrize("word", ["1", "t", "T", "true", "True", "TRUE"])
def test_error_is_a_document_however_json_is_switched_on(gate, word):
    found = gate("profiles", "list", f"--json={word}", "--nonsense")
    assert found.json["exit_name"] == "USAGE"


def test_start_is_the_answer_of_the_server(gate, server):
    server.profile().start()
    assert gate(*START, "--json=go").json == STARTED


@pytest.mark.parametrize("verb", ["stop", "pause", "resume"])
def test_control_is_the_answer_of_the_server(gate, server, verb):
    server.answer("POST", f"/profiles/{PROFILE}/{verb}", STARTED)
    assert gate("runs", verb, "42", "--json=go").json == STARTED


def test_pause_without_a_run_succeeds_as_the_server_says(gate, server):
    answer = {"runId": None, "status": "IDLE", "profileId": PROFILE}
    server.answer("POST", f"/profiles/{PROFILE}/pause", answer)
    result = gate("runs", "pause", "42", "--json=go")
    assert result.exit_code == ExitCode.OK
    assert result.json == answer
    assert "nothing was paused" in result.stderr


def test_ended_run_has_its_json_as_texts_where_that_is_asked_for(gate, server):
    server.detail().detail()
    found = gate("history", "get", "7", "--json=go")
    assert found.json == detail()
    assert '"durationSeconds": 60,' in found.stdout
    assert json.loads(found.json["latencyQuantiles"])["p95"] == 21.0
    assert gate("history", "get", "7").json["latencyQuantiles"] == {
        "p50": 8.1,
        "p95": 21,
        "p99": 34.5,
    }


@pytest.mark.parametrize(("verdict", "code"), [("PASS", 0), ("FAIL", 2), ("WARN", 3)])
def test_gate_prints_the_history_row(gate, server, verdict, code):
    server.until_ended().scan(row(autoVerdict=verdict)).detail(autoVerdict=verdict)
    result = gate(*GATED, "--json=go")
    assert result.exit_code == code
    assert result.json == detail(autoVerdict=verdict)


def test_error_leaves_standard_output_empty(gate, server):
    server.error("GET", f"/profiles/{PROFILE}", 400, "Profile not found")
    result = gate(*GATED, "--json=go")
    assert result.exit_code == ExitCode.REFUSED
    assert result.stdout == ""
    assert "Profile not found" in result.stderr


def test_version_and_global_flags_before_the_command(gate, server):
    assert gate("--json=go", "version").json["spec"] == "v1"
    assert gate("version").stdout.startswith("tm ")


# Switches with a value.


@pytest.mark.parametrize("value", ["true", "True", "TRUE", "t", "T", "1"])
def test_switch_may_be_given_as_true(gate, server, value):
    server.until_ended().scan(row(autoVerdict="FAIL")).detail(autoVerdict="FAIL")
    result = gate(*START, f"--wait={value}", "--fail-on-verdict", "FAIL", f"--json={value}")
    assert result.exit_code == ExitCode.FAIL
    assert result.json["schema_version"] == 1


@pytest.mark.parametrize("value", ["false", "False", "FALSE", "f", "F", "0"])
def test_switch_may_be_given_as_false(gate, server, value):
    server.profile().start()
    result = gate(*START, f"--wait={value}", f"--json={value}", "--quiet=true")
    assert result.exit_code == ExitCode.OK
    assert result.stdout.startswith("started run")


@pytest.mark.parametrize(
    "words",
    [
        (f"--json={value}", "runs", "start", "42", "--wait=0", "--fail-on", "FAIL")
        for value in ("true", "go")
    ]
    + [
        (*START, "--wait="),
        (*START, "--wait=yes"),
        (*START, "--wait=go"),
        (*START, "--json=", "--wait"),
        (*START, "--json=yaml", "--wait"),
        (*START, "--wait", "--wait=false", "--fail-on", "FAIL"),
        (*START, "--wait=false", "--assert", "p95<1s"),
    ],
)
def test_switch_without_a_clear_value_and_a_gate_that_does_not_wait_are_mistakes(
    gate, server, words
):
    assert gate(*words).exit_code == ExitCode.USAGE
    assert not server.requests


def test_last_value_of_a_switch_counts(gate, server):
    server.until_ended().scan(row()).detail()
    assert gate(*START, "--wait=false", "--wait=true", "--fail-on", "FAIL").exit_code == 0


def test_switch_has_no_value_where_it_is_the_value_of_an_option(gate, server):
    server.profile()
    server.answer("POST", f"/profiles/{PROFILE}/runs", STARTED, body={"region": "--wait=true"})
    assert gate(*START, "--region", "--wait=true").exit_code == ExitCode.OK


def test_switch_with_two_names_takes_the_other_for_false(gate, server):
    server.until_ended().scan(row()).detail()
    result = gate(*GATED, "--github=false")
    assert "::" not in result.stdout


# Empty values.


@pytest.mark.parametrize("flag", ["--fail-on-verdict", "--fail-on"])
@pytest.mark.parametrize("value", ["", " ", ","])
def test_empty_gate_is_a_mistake_and_no_gate_that_passes(gate, server, flag, value):
    assert gate(*START, "--wait", flag, value).exit_code == ExitCode.USAGE
    assert not server.requests


def test_empty_region_is_a_mistake_and_an_empty_tag_is_none(gate, server):
    assert gate(*GATED, "--region", "").exit_code == ExitCode.USAGE
    assert not server.requests
    server.until_ended().scan(row()).detail()
    assert gate(*GATED, "--tag", "").exit_code == ExitCode.OK


@pytest.mark.parametrize("group", ["runs", "profiles", "history"])
def test_group_without_a_command_is_no_success(gate, group):
    assert gate(group).exit_code == ExitCode.USAGE


def test_key_is_nowhere(gate, server):
    server.profile().start()
    assert KEY not in gate(*START, "--json=go").stdout
