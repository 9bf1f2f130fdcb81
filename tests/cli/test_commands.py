"""The commands around the gate: profiles, history, controls, configuration."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from tests.services.trafficmorph import KEY, PROFILE, RUN, detail, page, profile, row, status
from tm_cli.exit_codes import ExitCode

DOCUMENT = """
name: checkout
duration: 1m
endpointUrl: https://shop.example/checkout
points: [[0, 10], [60, 10]]
"""
SENT = {
    "_format": "trafficmorph-profile-v1",
    "name": "checkout",
    "duration": 60,
    "endpointUrl": "https://shop.example/checkout",
    "points": [{"x": 0, "y": 10}, {"x": 60, "y": 10}],
    "httpMethod": "GET",
    "interpolationMode": "LINEAR",
}
IMPORTED = {"id": PROFILE, "name": "checkout", "callbackSecret": "s3cret", "warnings": []}


def listed(*names, first_id=PROFILE):
    return [{"id": first_id + n, "name": name, "createdAt": None} for n, name in enumerate(names)]


def test_profiles_are_listed(gate, server):
    server.answer("GET", "/profiles", listed("checkout", "search"))
    result = gate("profiles", "list")
    assert [line.split()[:2] for line in result.stdout.splitlines()] == [
        ["ID", "NAME"],
        ["42", "checkout"],
        ["43", "search"],
    ]


def test_profile_is_shown_without_its_secret(gate, server):
    server.profile().profile()
    assert "s3cret" not in gate("profiles", "show", "42").stdout
    shown = gate("profiles", "show", "42", "--json")
    assert "s3cret" not in shown.stdout
    assert shown.json["data"]["targetUrl"] == "https://shop.example/checkout"


@pytest.mark.parametrize("name", ["checkout", " CheckOut "])
def test_name_is_compared_as_the_server_does(gate, server, name):
    server.answer("GET", "/profiles", listed("search", "checkout", first_id=41)).profile().start()
    assert gate("runs", "start", name).exit_code == ExitCode.OK


@pytest.mark.parametrize(
    ("profiles", "name", "words"),
    [
        (["search"], "checkout", "no profile named 'checkout'"),
        (["checkout"], "chekout", "did you mean checkout?"),
        (["checkout", "Checkout"], "checkout", "42, 43"),
        (["straße"], "STRASSE", "no profile"),
    ],
)
def test_name_that_is_unknown_or_ambiguous_is_refused(gate, server, profiles, name, words):
    server.answer("GET", "/profiles", listed(*profiles))
    result = gate("runs", "start", name)
    assert result.exit_code == ExitCode.REFUSED
    assert words in result.stderr


def test_document_is_uploaded_before_its_run(gate, tm, server):
    (tm.cwd / "checkout.yaml").write_text(DOCUMENT, encoding="utf-8")
    server.answer("POST", "/profiles/import", IMPORTED, code=201, body=SENT)
    server.until_ended().scan(row()).detail()
    result = gate("runs", "start", "checkout.yaml", "--wait", "--fail-on", "FAIL")
    assert result.exit_code == ExitCode.OK


def test_document_that_the_server_rejects_is_refused(gate, tm, server):
    (tm.cwd / "checkout.yaml").write_text(DOCUMENT, encoding="utf-8")
    server.error("POST", "/profiles/import", 400, "endpointUrl: blocked host")
    result = gate("runs", "start", "checkout.yaml", "--wait")
    assert result.exit_code == ExitCode.REFUSED
    assert "checkout.yaml: endpointUrl: blocked host" in result.stderr


def test_import_warnings_are_shown_and_the_secret_is_not(gate, tm, server):
    (tm.cwd / "checkout.yaml").write_text(DOCUMENT, encoding="utf-8")
    answer = {**IMPORTED, "warnings": ["the schedule was not saved\x1b[2J"]}
    server.answer("POST", "/profiles/import", answer, code=201)
    result = gate("profiles", "import", "checkout.yaml", "--json")
    assert "the schedule was not saved" in result.stderr
    assert "\x1b" not in result.stderr
    assert "s3cret" not in result.stdout


def test_profile_is_shown_with_its_warm_up_and_its_limits(gate, server):
    limits = {"p95": {"fail": 25, "failMs": 400}, "p95[60s..90s]": {"fail": 20}, "later": {"x": 1}}
    server.profile(warmup=10, gate=limits)
    lines = gate("profiles", "show", "42").stdout.splitlines()
    assert "  warm-up            10s" in lines
    assert "  gate.p95           fail 25 % or 400 ms" in lines
    assert "  gate.p95[60s..90s] fail 20 %" in lines
    assert '  gate.later         {"x": 1}' in lines


def test_profile_is_shown_with_its_scripts_and_the_host_of_its_callback(gate, server):
    url = "https://ada:s3cret@chat.test/hooks/s3cret?key=s3cret"
    server.profile(initScript="function init() {}", cleanupScript="", callbackUrl=url)
    shown = gate("profiles", "show", "42").stdout
    assert "  scripts       initScript\n" in shown
    assert "  callback      chat.test\n" in shown
    assert "s3cret" not in shown
    server.profile(callbackUrl="http://[x")
    assert gate("profiles", "show", "42").exit_code == ExitCode.OK


@pytest.mark.parametrize("argv", [("runs", "stop"), ("profiles", "show")], ids=" ".join)
def test_document_is_looked_up_by_its_name_and_not_uploaded(gate, tm, server, argv):
    (tm.cwd / "checkout.yaml").write_text(DOCUMENT, encoding="utf-8")
    server.answer("GET", "/profiles", listed("checkout"))
    method, verb = ("POST", "/stop") if argv[0] == "runs" else ("GET", "")
    server.answer(method, f"/profiles/{PROFILE}{verb}", profile())
    assert gate(*argv, "checkout.yaml").exit_code == ExitCode.OK


def test_waiting_does_not_upload_a_document(gate, tm, server):
    (tm.cwd / "checkout.yaml").write_text(DOCUMENT, encoding="utf-8")
    server.answer("GET", "/profiles", listed("checkout"))
    server.status("COMPLETED").scan(row()).detail()
    assert gate("runs", "wait", "checkout.yaml", "--run-id", RUN).exit_code == ExitCode.OK


def test_missing_document_sends_nothing(gate, server):
    assert gate("runs", "start", "none.yaml", "--wait").exit_code == ExitCode.CONFIGURATION


def test_missing_document_with_another_ending_gets_a_hint(gate, tm, server):
    (tm.cwd / "checkout.yaml").write_text(DOCUMENT, encoding="utf-8")
    result = gate("runs", "start", "checkout.yml", "--wait")
    assert result.exit_code == ExitCode.CONFIGURATION
    assert "did you mean checkout.yaml?" in result.stderr
    assert not server.requests


@pytest.mark.parametrize(
    ("flag", "hint"), [("gate.html", "--report html=gate.html"), ("gate", "the formats are json")]
)
def test_report_without_a_format_gets_a_hint(gate, server, flag, hint):
    result = gate("runs", "start", "42", "--wait", "--report", flag)
    assert result.exit_code == ExitCode.USAGE
    assert hint in result.stderr
    assert not server.requests


def test_export_writes_what_import_reads(gate, tm, server):
    server.answer("GET", f"/profiles/{PROFILE}/export", SENT)
    assert gate("profiles", "export", "42", "-o", "copy.yaml").exit_code == ExitCode.OK
    server.answer("POST", "/profiles/import", IMPORTED, code=201, body=SENT)
    assert gate("profiles", "import", "copy.yaml").exit_code == ExitCode.OK


def test_export_to_standard_output_is_the_document(gate, server):
    server.answer("GET", f"/profiles/{PROFILE}/export", SENT)
    assert json.loads(gate("profiles", "export", "42").stdout) == SENT


def test_export_that_cannot_be_written_is_an_output_error(gate, server):
    server.answer("GET", f"/profiles/{PROFILE}/export", SENT)
    assert gate("profiles", "export", "42", "-o", "no/where.json").exit_code == ExitCode.OUTPUT


@pytest.mark.parametrize("verb", ["stop", "pause", "resume"])
def test_controls_are_sent_once(gate, server, verb):
    answer = {"runId": RUN, "status": "PAUSED", "profileId": PROFILE}
    server.answer("POST", f"/profiles/{PROFILE}/{verb}", answer)
    result = gate("runs", verb, "42", "--json")
    assert result.json["data"] == {"profile_id": PROFILE, "run_id": RUN, "status": "PAUSED"}


def test_pause_without_a_run_says_that_nothing_was_paused(gate, server):
    answer = {"runId": None, "status": "IDLE", "profileId": PROFILE}
    server.answer("POST", f"/profiles/{PROFILE}/pause", answer)
    result = gate("runs", "pause", "42")
    assert result.exit_code == ExitCode.OK
    assert result.stdout == "profile 42: IDLE\n"
    assert "nothing was paused" in result.stderr


def test_resume_that_is_refused_says_why(gate, server):
    text = "No active run to resume for selected profile"
    server.error("POST", f"/profiles/{PROFILE}/resume", 400, text)
    result = gate("runs", "resume", "42")
    assert result.exit_code == ExitCode.ERROR
    assert text in result.stderr


def test_status_shows_the_run(gate, server):
    server.status()
    shown = gate("runs", "status", "42").stdout
    assert "RUNNING" in shown
    assert RUN in shown
    assert "20s of 1m" in shown


def test_status_shows_the_steps_those_with_errors_first(gate, server):
    names = ["/login", "/cart", *map(str, range(10))]
    steps = [
        {"name": name, "totalRequests": 100 - n, "totalErrors": 5 * (n == 1), "currentRps": 2.5}
        for n, name in enumerate(names)
    ]
    server.status(steps=steps)
    lines = gate("runs", "status", "42").stdout.splitlines()
    assert "  step       /cart  2.5/s  errors 5.05 %" in lines
    assert lines.index("  step       /cart  2.5/s  errors 5.05 %") < lines.index(
        "  step       /login  2.5/s  errors 0.00 %"
    )
    assert lines[-1] == "  and 2 more steps"


def test_status_shows_the_calls_of_the_response_script(gate, server):
    server.status(scriptOk=1200, scriptErrors=3)
    lines = gate("runs", "status", "42").stdout.splitlines()
    assert "  script     1,200 calls returned, 3 failed" in lines


def test_status_shows_what_the_load_waits_for(gate, server):
    server.status(waitingFor="the target localhost:8080 cannot be reached", recentBuckets=[])
    assert "waiting    the target localhost:8080 cannot be" in gate("runs", "status", "42").stdout


def test_status_keeps_fields_that_this_version_does_not_know(gate, server):
    server.status(futureField={"deep": [1, 2**60]})
    assert gate("runs", "status", "42", "--json").json["data"]["futureField"] == {
        "deep": [1, 2**60]
    }


def test_history_is_listed_with_filters(gate, server):
    query = {
        "profileId": "42",
        "autoVerdict": "FAIL",
        "triggeredBy": "api",
        "tag": "ci",
        "from": "2026-03-01T00:00:00+00:00",
        "page": "1",
        "size": "5",
    }
    server.answer("GET", "/history", page(row(autoVerdict="FAIL")), query=query)
    argv = ["--profile", "42", "--verdict", "fail", "--triggered-by", "api", "--tag", "ci"]
    argv += ["--from", "2026-03-01T00:00:00+00:00", "--page", "1", "--size", "5"]
    assert "FAIL" in gate("history", "list", *argv).stdout


def test_history_from_a_duration_means_that_long_before_now(gate, server, clock):
    start = (clock.now() - timedelta(hours=1)).isoformat()
    server.answer("GET", "/history", page(row()), query={"from": start, "page": "0", "size": "20"})
    assert gate("history", "list", "--from", "1h").exit_code == ExitCode.OK


@pytest.mark.parametrize("text", ["yesterday", "2026", "-1h", ""])
def test_history_from_what_is_not_a_time_sends_nothing(gate, server, text):
    result = gate("history", "list", f"--from={text}")
    assert result.exit_code == ExitCode.USAGE
    assert "--from: invalid time" in result.stderr
    assert not server.requests


def test_history_row_is_shown_with_its_texts_decoded(gate, server):
    server.detail().detail()
    shown = gate("history", "show", "7").stdout
    assert "p95 21 ms, baseline 20 ms, +5 %, limit +25 %" in shown
    assert "200 × 597" in shown
    data = gate("history", "get", "7").json
    assert data["latencyQuantiles"] == {"p50": 8.1, "p95": 21.0, "p99": 34.5}
    assert data["responseCodes"] == {"200": 597, "503": 3}


@pytest.mark.parametrize("text", ["not json", '{"p50": NaN}', '"scalar"', "7"])
def test_text_that_does_not_decode_stays_text(gate, server, text):
    server.answer("GET", "/history/7", detail(latencyQuantiles=text))
    assert gate("history", "show", "7", "--json").json["data"]["latencyQuantiles"] == text


@pytest.mark.parametrize("history_id", [2**53 + 1, 2**63 - 1])
def test_ids_stay_exact(gate, server, history_id):
    server.answer("GET", f"/history/{history_id}", detail(history_id))
    assert gate("history", "show", str(history_id), "--json").json["data"]["id"] == history_id


def test_hostile_names_cannot_steer_the_terminal(gate, server):
    name = "shop\x1b]0;owned\x07\x1b[31m\n::error::x ##[add-mask]y [bold]z"
    server.answer("GET", "/profiles", listed(name))
    shown = gate("profiles", "list").stdout
    assert "\x1b" not in shown
    assert "\x07" not in shown
    assert "##[" not in shown
    assert len(shown.splitlines()) == 2
    assert "[bold]z" in shown


def test_verbose_prints_a_line_per_request_without_secrets(gate, server):
    server.answer("GET", "/profiles", [])
    result = gate("profiles", "list", "--verbose")
    assert "GET http://localhost" in result.stderr
    assert " 200 " in result.stderr
    assert KEY not in result.stderr


def test_read_is_repeated_and_then_given_up(gate, server, clock):
    for _ in range(3):
        server.answer("GET", "/profiles", {"error": "down"}, code=503)
    result = gate("profiles", "list")
    assert result.exit_code == ExitCode.ERROR
    assert clock.slept == [0.5, 1.0]
    assert "down (HTTP 503)" in result.stderr


def test_config_shows_values_origins_and_a_masked_key(tm):
    (tm.cwd / "tm.toml").write_text('fail_on = "FAIL"\n', encoding="utf-8")
    environ = {"TM_API_KEY": KEY, "TM_BASE_URL": "https://tm.example"}
    shown = tm("config", "show", environ=environ)
    assert KEY not in shown.stdout
    data = tm("config", "show", "--json", environ=environ).json["data"]
    assert data["api_key"] == {"value": "***", "origin": "variable TM_API_KEY"}
    assert data["base_url"]["value"] == "https://tm.example/"
    assert data["fail_on"]["origin"].endswith("tm.toml")
    assert data["timeout"] == {"value": 30.0, "origin": "default"}


def test_version_is_what_the_official_tool_prints(tm):
    assert tm("version").stdout.startswith("tm ")
    assert tm("version").stdout.endswith(" (spec v1)\n")
    assert tm("version", "--json").json["data"]["spec"] == "v1"


def test_payload_builders_resemble_real_answers():
    assert profile()["id"] == status()["profileId"] == row()["profileId"] == PROFILE


@pytest.mark.parametrize(
    "argv",
    [
        ("--json", "profiles", "list"),
        ("profiles", "--json", "list"),
        ("profiles", "list", "--json"),
    ],
    ids=" ".join,
)
def test_global_options_may_stand_anywhere(gate, server, argv):
    server.answer("GET", "/profiles", [])
    assert gate(*argv).json["data"] == []


def test_option_nearest_to_the_command_wins(tm):
    data = tm("--timeout", "1s", "config", "--timeout", "2s", "show", "--json").json["data"]
    assert data["timeout"]["value"] == 2.0
    data = tm("--timeout", "1s", "config", "show", "--timeout", "3s", "--json").json["data"]
    assert data["timeout"]["value"] == 3.0


def test_empty_option_before_the_command_is_still_a_mistake(tm):
    assert tm("--base-url", "", "profiles", "list").exit_code == ExitCode.USAGE


@pytest.mark.parametrize(
    ("argv", "path"),
    [
        (("profiles", "delete", "42"), f"/profiles/{PROFILE}"),
        (("history", "delete", "7"), "/history/7"),
    ],
)
def test_deletion_is_sent_once_and_only_when_confirmed(gate, server, argv, path):
    assert gate(*argv).exit_code == ExitCode.USAGE
    assert not server.requests
    server.answer("DELETE", path, code=204, text="")
    assert gate(*argv, "--yes").exit_code == ExitCode.OK
    server.error("DELETE", path, 400, "not found")
    assert gate(*argv, "--yes").exit_code == ExitCode.ERROR


@pytest.mark.parametrize(
    ("argv", "method"),
    [
        (("history", "show", "99"), "GET"),
        (("history", "get", "99"), "GET"),
        (("history", "delete", "99", "--yes"), "DELETE"),
    ],
    ids=["show", "get", "delete"],
)
def test_run_that_is_not_in_the_history_is_named(gate, server, argv, method):
    server.error(method, "/history/99", 400, "Run history not found")
    result = gate(*argv)
    assert result.exit_code == ExitCode.ERROR
    assert result.stderr.splitlines() == [
        "tm: run 99 is not in the history",
        "hint: `tm history list` shows what is there",
    ]


def test_page_of_a_gateway_is_not_taken_for_a_missing_run(gate, server):
    server.answer("GET", "/history/99", code=404, text="<html>", content_type="text/html")
    assert "is not in the history" not in gate("history", "show", "99").stderr


@pytest.mark.parametrize(
    ("argv", "suggested"),
    [
        (
            ("start", "checkout"),
            "`tm runs start` or `tm benchmarks start` or `tm jobs start`",
        ),
        (("pin", "7"), "`tm baseline pin`"),
        (("unpin",), "`tm baseline unpin`"),
        (("run", "start"), "`tm runs start`"),
    ],
    ids=["start", "pin", "unpin", "run"],
)
def test_command_without_its_group_is_found(tm, argv, suggested):
    result = tm(*argv)
    assert result.exit_code == ExitCode.USAGE
    assert f"Did you mean {suggested}?" in result.stderr


def test_hidden_command_is_not_suggested(tm):
    assert "history get" not in tm("get", "7").stderr
