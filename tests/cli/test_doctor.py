"""`tm doctor`: a line per check, its fix, and the code that a gate would meet."""

import os
import re
import subprocess

import pytest

from tests.services.trafficmorph import KEY, page, row
from tests.unit.runtime.announced import Stranger, announce, proves_itself
from tm_cli.exit_codes import ExitCode

ACCOUNT = {
    "deploymentMode": "CLOUD",
    "subscriptionType": "TEAM",
    "trialExpired": False,
    "limits": {"apiRequestsPerMinute": 60, "maxConcurrentRuns": 5},
    "usage": {"activeRunCount": 1, "usedRequests": 10, "includedRequests": 1000},
    "features": {"duet": True, "baselinePins": True, "runLimits": False},
}


@pytest.fixture
def there(httpserver):
    """A server that is up; `/api/v1` answers as a test says."""
    httpserver.expect_request("/", method="HEAD").respond_with_data("", status=404)
    return httpserver


def answers(server, path, document, status=200):
    expected = server.expect_request(f"/api/v1{path}", method="GET", headers={"X-Api-Key": KEY})
    expected.respond_with_json(document, status=status)


@pytest.fixture
def doctor(tm, there):
    def run(*argv, **environ):
        settings = {"TM_BASE_URL": there.url_for("/"), "TM_API_KEY": KEY, **environ}
        return tm("doctor", *argv, environ=settings)

    return run


def checks(result):
    return {item["check"]: item for item in result.json["data"]["checks"]}


def test_a_healthy_server_ends_with_0_and_shows_no_key(doctor, there):
    answers(there, "/account", ACCOUNT)
    answers(there, "/history", page(row()))
    result = doctor()
    assert result.exit_code == ExitCode.OK
    assert "plan TEAM; 60 requests to the API per minute; with baselinePins, duet" in result.stdout
    assert "1 of 5 concurrent runs" in result.stdout
    assert "readable, 1 entries" in result.stdout
    assert "A gate can run here" in result.stdout
    assert KEY not in result.stdout + result.stderr


def test_nothing_but_reads_is_sent(doctor, there):
    answers(there, "/account", ACCOUNT)
    answers(there, "/history", page())
    doctor()
    assert [request.method for request, _ in there.log] == ["HEAD", "GET", "GET"]


def test_json_names_every_check_and_its_status(doctor, there):
    answers(there, "/account", ACCOUNT)
    answers(there, "/history", page())
    result = doctor("--json")
    assert result.json["exit_code"] == 0
    assert result.json["error"] is None
    assert result.json["data"]["system"] == "trafficmorph"
    names = "tm extras settings server proxy DNS TLS connection clock access account history CI"
    assert set(names.split()) <= set(checks(result))
    keys = {"check", "system", "status", "text", "fix", "exit_code", "facts"}
    assert set(checks(result)["DNS"]) == keys
    assert checks(result)["DNS"]["system"] == "trafficmorph"
    assert checks(result)["CI"]["system"] is None


def test_a_refused_key_is_77_with_a_fix(doctor, there):
    answers(there, "/account", {"error": "bad key", "code": "AUTH_REQUIRED"}, 401)
    result = doctor("--json")
    assert result.exit_code == result.json["exit_code"] == ExitCode.AUTHENTICATION
    assert result.json["error"]["code"] == "authentication"
    assert checks(result)["access"]["status"] == "problem"
    assert checks(result)["access"]["fix"]
    assert checks(result)["history"]["status"] == "skipped"


@pytest.mark.parametrize(
    ("headers", "fix"), [({"Retry-After": "20"}, "wait 20s"), ({}, "wait a minute")]
)
def test_a_used_up_budget_says_how_long_to_wait_and_does_not_blame_the_key(
    doctor, there, headers, fix
):
    there.expect_request("/api/v1/account").respond_with_json({}, status=429, headers=headers)
    result = doctor("--json")
    assert checks(result)["access"]["fix"].endswith(fix)
    assert "key" not in checks(result)["history"]["text"]


def test_an_unreadable_history_fails(doctor, there):
    answers(there, "/account", ACCOUNT)
    answers(there, "/history", {"error": "no"}, 403)
    assert doctor().exit_code == ExitCode.AUTHENTICATION


def test_an_old_server_without_accounts_is_a_warning(doctor, there):
    answers(there, "/account", {"error": "not found"}, 404)
    answers(there, "/history", page())
    result = doctor("--json")
    assert result.exit_code == ExitCode.OK
    assert checks(result)["account"]["status"] == "warning"


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"trialExpired": True}, "problem", ExitCode.AUTHENTICATION),
        ({"usage": {"usedRequests": 1000, "includedRequests": 1000}}, "problem", ExitCode.REFUSED),
        ({"usage": {"usedRequests": 950, "includedRequests": 1000}}, "warning", ExitCode.OK),
        ({"limits": None, "features": None, "usage": "none"}, "ok", ExitCode.OK),
    ],
)
def test_an_account_that_would_be_refused_is_told(doctor, there, changes, status, code):
    answers(there, "/account", {**ACCOUNT, **changes})
    answers(there, "/history", page())
    result = doctor("--json")
    assert checks(result)["account"]["status"] == status
    assert result.exit_code == code


def test_no_room_for_another_run_is_a_warning(doctor, there):
    answers(there, "/account", {**ACCOUNT, "limits": {"maxConcurrentRuns": 1}})
    answers(there, "/history", page())
    assert checks(doctor("--json"))["capacity"]["status"] == "warning"


def test_an_answer_of_somebody_else_is_no_account(doctor, there):
    there.expect_request("/api/v1/account").respond_with_data("<html>", content_type="text/html")
    result = doctor()
    assert result.exit_code == ExitCode.ERROR
    assert "text/html instead of JSON" in result.stdout


def test_with_the_server_down_every_other_check_still_runs(tm):
    environ = {"TM_BASE_URL": "http://127.0.0.1:9/", "TM_API_KEY": KEY, "CI": "1"}
    result = tm("doctor", "--json", environ=environ)
    assert result.exit_code == ExitCode.UNAVAILABLE
    found = checks(result)
    assert found["connection"]["status"] == "problem"
    assert found["access"]["status"] == "skipped"
    assert {"settings", "DNS", "embedded server", "CI", "terminal"} <= set(found)
    assert found["settings"]["status"] == "ok"


def test_without_a_key_the_server_is_still_looked_at(tm, there):
    result = tm("doctor", "--json", environ={"TM_BASE_URL": there.url_for("/")})
    assert result.exit_code == ExitCode.CONFIGURATION
    assert checks(result)["API key"]["status"] == "problem"
    assert checks(result)["connection"]["status"] == "ok"
    assert checks(result)["access"]["text"] == "there is no key to try"


def test_no_server_is_the_embedded_one_at_a_terminal_and_78_in_a_pipeline(tm):
    assert "tm uses the embedded one" in tm("doctor").stdout
    result = tm("doctor", environ={"CI": "1"})
    assert result.exit_code == ExitCode.CONFIGURATION
    assert "none is configured, and CI is set" in result.stdout


def test_the_embedded_server_is_never_started(tm):
    result = tm("doctor", "--json", environ={"TM_BASE_URL": "local"})
    assert checks(result)["embedded server"]["text"] == "installed, started when needed"
    assert not (tm.cwd / ".tm").exists()


def test_a_running_embedded_server_is_asked_with_its_own_key(tm, there):
    url = proves_itself(there)
    data = announce(tm.cwd / "data", url)
    answers(there, "/account", ACCOUNT)
    answers(there, "/history", page())
    result = tm("doctor", environ={"TM_BASE_URL": "local", "TM_DATA_DIR": str(data)})
    assert result.exit_code == ExitCode.OK
    assert f"running at {url}/" in result.stdout
    assert "readable, empty" in result.stdout


def test_what_a_killed_server_left_behind_is_no_server(tm):
    data = announce(tm.cwd / "data", "http://127.0.0.1:9")
    result = tm("doctor", environ={"TM_DATA_DIR": str(data)})
    assert result.exit_code == ExitCode.OK
    assert "started when needed" in result.stdout


def test_a_stranger_at_the_port_of_a_dead_server_is_no_server_and_gets_no_key(tm):
    with Stranger(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}") as stranger:
        data = announce(tm.cwd / "data", stranger.url)
        environ = {"TM_BASE_URL": "local", "TM_DATA_DIR": str(data)}
        result = tm("doctor", "--json", environ=environ)
    assert result.exit_code == ExitCode.OK
    assert checks(result)["embedded server"]["text"] == "installed, started when needed"
    assert stranger.heard
    assert KEY.encode() not in stranger.all_heard


@pytest.mark.skipif(os.name != "posix", reason="POSIX permissions")
def test_a_key_that_others_may_read_is_told(tm):
    data = announce(tm.cwd / ".tm", "http://127.0.0.1:9")
    (data / "api-key").chmod(0o644)
    result = tm("doctor", "--json", environ={"TM_BASE_URL": "local"})
    assert result.exit_code == 78
    assert checks(result)["data"]["text"] == f"other users may read or write {data / 'api-key'}"


@pytest.mark.process
@pytest.mark.parametrize(("base_url", "code"), [("local", 78), ("http://127.0.0.1:9", 69)])
def test_a_history_from_a_repository_is_told_and_not_used(tm, base_url, code):
    with Stranger() as stranger:
        data = announce(tm.cwd / ".tm", stranger.url)
        for words in (["init", "--quiet"], ["add", "--force", ".tm"]):
            subprocess.run(["git", *words], cwd=tm.cwd, check=True)
        environ = {"TM_BASE_URL": base_url, "TM_API_KEY": KEY, "PATH": os.environ["PATH"]}
        result = tm("doctor", "--json", environ=environ)
    assert result.exit_code == code
    found = checks(result)["data"]
    assert found["status"] == ("problem" if base_url == "local" else "warning")
    assert f"{data} holds files of a git repository" in found["text"]
    assert found["fix"].startswith("git rm -r --cached ")
    assert stranger.heard == []


def test_a_broken_file_is_told_and_the_rest_still_runs(tm):
    (tm.cwd / "tm.toml").write_text("fail_on = [", encoding="utf-8")
    result = tm("doctor", "--json")
    assert result.exit_code == ExitCode.CONFIGURATION
    assert "not valid TOML" in checks(result)["settings"]["text"]
    assert "terminal" in checks(result)


def test_a_bad_value_of_any_setting_is_told(doctor):
    result = doctor(TM_POLL_INTERVAL="often")
    assert result.exit_code == ExitCode.CONFIGURATION
    assert "TM_POLL_INTERVAL" in result.stdout


def test_a_mistyped_variable_is_a_problem_as_it_is_to_a_gate(doctor, there):
    answers(there, "/account", ACCOUNT)
    answers(there, "/history", page())
    result = doctor(TM_FAILON="FAIL", TM_SOMETHING_ELSE="x")
    assert result.exit_code == ExitCode.CONFIGURATION
    assert "TM_FAILON means nothing to tm" in result.stdout
    assert "did you mean TM_FAIL_ON?" in result.stdout
    assert "TM_SOMETHING_ELSE" not in result.stdout


def test_one_bad_value_is_told_once(tm):
    result = tm("doctor", "--json", environ={"TM_BASE_URL": "localhost:8092"})
    failed = [name for name, item in checks(result).items() if item["status"] == "problem"]
    assert failed == ["settings"]
    assert checks(result)["server"]["text"] == "see the settings"


def test_a_key_that_the_server_echoes_is_not_shown(doctor, there):
    answers(there, "/account", {"error": f"unknown key {KEY}", "code": "X"}, 401)
    result = doctor("--json")
    assert KEY not in result.stdout
    assert "unknown key ***" in checks(result)["access"]["text"]


def test_an_unreadable_ca_file_is_a_bad_setting(tm):
    environ = {"TM_BASE_URL": "https://127.0.0.1:9", "TM_API_KEY": KEY, "TM_CA_FILE": "nope.pem"}
    result = tm("doctor", environ=environ)
    assert result.exit_code == ExitCode.CONFIGURATION
    assert "nope.pem" in result.stdout


@pytest.mark.parametrize(
    ("system", "path"), [("runloop", "/v1/benchmark_runs"), ("strait", "/v1/runs")]
)
def test_other_systems_are_asked_for_one_run(tm, there, system, path):
    expected = {"headers": {"Authorization": "Bearer rk_1234"}, "query_string": {"limit": "1"}}
    there.expect_request(path, method="GET", **expected).respond_with_json({"runs": []})
    environ = {f"{system.upper()}_BASE_URL": there.url_for("/"), "CI": "1"}
    result = tm(
        "doctor", "--system", system, environ={**environ, f"{system.upper()}_API_KEY": "rk_1234"}
    )
    assert result.exit_code == ExitCode.OK
    assert f"the runs of {system} are readable" in result.stdout
    assert "embedded server  " not in result.stdout
    assert tm("doctor", "--system", system, environ=environ).exit_code == ExitCode.CONFIGURATION


@pytest.mark.parametrize(
    ("system", "path"), [("runloop", "/v1/benchmark_runs"), ("strait", "/v1/runs")]
)
def test_the_system_that_is_configured_is_looked_at(tm, there, system, path):
    there.expect_request(path, method="GET").respond_with_json({"runs": []})
    name = system.upper()
    environ = {f"{name}_BASE_URL": there.url_for("/"), f"{name}_API_KEY": "rk_1234", "CI": "1"}
    result = tm("doctor", "--json", environ=environ)
    assert result.exit_code == ExitCode.OK
    assert result.json["data"]["systems"] == [system]
    assert checks(result)["access"]["system"] == system


def test_a_key_alone_configures_a_system(tm):
    environ = {"STRAIT_API_KEY": "rk_1234", "STRAIT_BASE_URL": "http://127.0.0.1:9"}
    assert tm("doctor", "--json", environ=environ).json["data"]["system"] == "strait"


def test_several_systems_are_told_apart(doctor, there):
    answers(there, "/account", ACCOUNT)
    answers(there, "/history", page())
    other = {"RUNLOOP_BASE_URL": "http://127.0.0.1:9", "RUNLOOP_API_KEY": "rk_1234"}
    result = doctor(**other)
    assert result.exit_code == ExitCode.UNAVAILABLE
    assert "trafficmorph: connection" in result.stdout
    assert "because of this check: runloop: connection" in result.stdout
    assert doctor("--json", **other).json["data"]["systems"] == ["trafficmorph", "runloop"]


def test_an_unknown_system_is_a_usage_error(tm):
    assert tm("doctor", "--system", "cobol").exit_code == ExitCode.USAGE


def test_hostile_answers_are_shown_harmlessly(doctor, there):
    answers(there, "/account", {"error": "\x1b[2J::error::\n##[error]x", "code": "X"}, 400)
    result = doctor()
    assert "\x1b" not in result.stdout
    assert "##[" not in result.stdout
    assert not any(line.lstrip().startswith("::") for line in result.stdout.splitlines())


def test_a_clock_that_is_off_is_a_warning(doctor, there):
    answers(there, "/account", ACCOUNT)
    answers(there, "/history", page())
    result = doctor()  # the server tells the real time, the clock of a test never does
    assert re.search(r"this machine is \d+ s (behind|ahead of) the server", result.stdout)
    assert result.exit_code == ExitCode.OK
