"""What is wrong with a call is said before anything is sent."""

import math

import pytest

from tests.services.trafficmorph import KEY
from tm_cli.errors import UsageError
from tm_cli.mcp.schema import read
from tm_cli.mcp.tools import TOOLS

START = {"profile_id": 42, "wait": True}
BENCHMARK = {"benchmark": "bmd_1", "wait": True}
PROFILE = {
    "name": "shop",
    "target_url": "http://127.0.0.1/",
    "duration_seconds": 60,
    "points": [{"x": 0, "y": 1}, {"x": 60, "y": 1}],
}
SCHEDULE = {"mode": "ONCE", "timezone": "UTC", "slots": [{"dayOfWeek": 1, "time": "09:00"}]}
REMOTE = {"source_id": 1, "path": "a.jsonl"}
MISTAKES = [
    ("tm_start_run", {**START, "fail_on_verdict": ["FAIL", "WRAN"]}, "WRAN"),
    ("tm_start_run", {**START, "fail_on_verdict": ["PASS"]}, "PASS"),
    ("tm_start_run", {**START, "fail_on_verdict": []}, "fail_on_verdict"),
    ("tm_start_run", {**START, "fail_on_verdict": "FAIL"}, "fail_on_verdict"),
    ("tm_start_run", {**START, "fail_on_verdict": ["FAIL,WARN"]}, "FAIL,WARN"),
    ("tm_start_run", {**START, "fail_on_verdict": [None]}, "fail_on_verdict"),
    ("tm_start_run", {"profile_id": 42, "fail_on_verdict": ["FAIL"]}, "needs wait"),
    ("tm_start_run", {"profile_id": 42, "wait": False, "fail_on_verdict": ["FAIL"]}, "needs wait"),
    ("tm_start_run", {**START, "fail_on": ["FAIL"]}, "fail_on"),
    ("tm_start_run", {**START, "api_key": "x"}, "api_key"),
    ("tm_start_run", {"wait": True}, "profile_id"),
    ("tm_start_run", {**START, "profile_id": 0}, "profile_id"),
    ("tm_start_run", {**START, "profile_id": 2**63}, "profile_id"),
    ("tm_start_run", {**START, "profile_id": "42"}, "profile_id"),
    ("tm_start_run", {**START, "profile_id": True}, "profile_id"),
    ("tm_start_run", {**START, "wait": "yes"}, "wait"),
    ("tm_start_run", {**START, "wait_timeout_seconds": 0}, "wait_timeout_seconds"),
    ("tm_start_run", {**START, "wait_timeout_seconds": 1e9}, "wait_timeout_seconds"),
    ("tm_start_run", {**START, "verdict_timeout_seconds": -1}, "verdict_timeout_seconds"),
    ("tm_start_run", {**START, "poll_interval_seconds": 0}, "poll_interval_seconds"),
    ("tm_start_run", {**START, "tags": ["not a tag"]}, "not a tag"),
    ("tm_start_run", {**START, "tags": ["x"] * 21}, "tags"),
    ("tm_wait_run", {"profile_id": 42, "started_run_id": " "}, "started_run_id"),
    ("tm_wait_run", {"profile_id": 42}, "started_run_id"),
    ("tm_compare_runs", {"run_id": 7, "baseline_run_id": 7}, "itself"),
    ("tm_list_history", {"auto_verdict": "GOOD"}, "GOOD"),
    ("tm_list_history", {"from_": "yesterday"}, "yesterday"),
    ("tm_list_history", {"size": 101}, "size"),
    ("tm_create_profile", {**PROFILE, "points": [{"x": 0, "y": 1}]}, "points"),
    ("tm_create_profile", {**PROFILE, "points": [{"x": 0, "y": 1}, {"x": 9}]}, "points.1"),
    ("tm_create_profile", {**PROFILE, "name": " "}, "name"),
    ("tm_create_profile", {**PROFILE, "name": None}, "name"),
    ("tm_create_profile", {**PROFILE, "schedule": {"mode": "DAILY"}}, "schedule"),
    ("tm_create_profile", {**PROFILE, "schedule": SCHEDULE | {"slots": []}}, "schedule.slots"),
    ("tm_update_profile", {"profile_id": 42, "duration": 30}, "duration_seconds?"),
    ("tm_import_profile", {"profile": {"duration": 30}}, "no name"),
    ("tm_import_profile", {"profile": {"name": "a", "target_url": "${X}"}}, "endpointUrl"),
    ("tm_create_variables_set", {"name": "users", "csv_content": " "}, "csv_content"),
    ("tm_change_variables_set_mode", {"variables_set_id": 1, "mode": "row"}, "row"),
    ("tm_add_domain", {"domain": " "}, "domain"),
    ("tm_import_remote_capture", {**REMOTE, "selections": {"groups": [{}]}}, "method"),
    ("tm_list_capture_source_files", {"source_id": 1, "limit": 1001}, "limit"),
    ("tm_start_benchmark", {**BENCHMARK}, "no rule"),
    ("tm_start_benchmark", {**BENCHMARK, "min_score": 85}, "min_score"),
    ("tm_start_benchmark", {**BENCHMARK, "min_score": 0.8, "warn_score": 0.5}, "warn"),
    ("tm_start_benchmark", {"benchmark": "bmd_1", "min_score": 0.8}, "needs wait"),
    ("tm_wait_benchmark", {"run_id": "bmr_1"}, "no rule"),
    ("tm_start_job", {"job": "export", "fail_on_verdict": ["FAIL"]}, "needs wait"),
    ("tm_start_job", {"job": "export", "wait": True, "checks": ["rows >"]}, "rows"),
    ("tm_start_job", {"job": "export", "payload": "/etc/passwd"}, "payload"),
    ("tm_start_job", {"job": "export", "tags": {"team=core": "x"}}, "team=core"),
    ("tm_start_job", {"job": "export", "wait": True, "canceled_as": "PASS"}, "PASS"),
]


@pytest.fixture
def refusing(in_memory, httpserver):
    """An assistant whose servers would answer everything, if anything were sent."""
    url = httpserver.url_for("/")
    environ = {"TM_BASE_URL": url, "TM_API_KEY": KEY}
    for system in ("RUNLOOP", "STRAIT"):
        environ |= {f"{system}_BASE_URL": url, f"{system}_API_KEY": KEY}
    return in_memory(environ)


def test_a_mistake_is_told_and_sends_nothing(refusing, httpserver):
    for name, arguments, said in MISTAKES:
        answer = refusing.call(name, **arguments)
        assert answer.is_error, (name, arguments)
        assert answer.found["exit_name"] == "USAGE", (name, arguments, answer)
        assert said in answer.told, (name, arguments, answer)
        assert not httpserver.log, (name, arguments)


def test_a_refused_gate_is_told_as_not_satisfied(refusing):
    answer = refusing.call("tm_start_run", profile_id=42, wait=True, fail_on_verdict=["FALE"])
    assert answer.found["fail_on_match"] is True
    assert answer.found["verdict"] is None


def test_a_mistyped_name_is_told_the_right_one(refusing):
    answer = refusing.call("tm_start_run", profile_id=42, wait=True, fail_on_verdicts=["FAIL"])
    assert "did you mean fail_on_verdict?" in answer.told


def test_a_missing_key_is_a_configuration_error(in_memory, httpserver):
    answer = in_memory({"TM_BASE_URL": httpserver.url_for("/")}).call("tm_list_profiles")
    assert answer.is_error
    assert answer.found["exit_name"] == "CONFIGURATION"
    assert not httpserver.log


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
def test_every_argument_has_a_description_and_limits(tool):
    for name, schema in tool.schema["properties"].items():
        assert schema["description"].endswith("."), name
        kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        limits = {
            "string": {"maxLength", "enum"},
            "integer": {"maximum"},
            "number": {"maximum"},
            "array": {"maxItems"},
            "object": {"maxProperties", "properties"},
            "boolean": {"type"},
        }[kinds[0]]
        assert limits & set(schema), name
    assert tool.schema["additionalProperties"] is False
    assert set(tool.required) <= set(tool.properties)


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_what_is_no_number_is_no_time(number):
    schema = next(tool.schema for tool in TOOLS if tool.name == "tm_start_run")
    with pytest.raises(UsageError, match="wait_timeout_seconds"):
        read({**START, "wait_timeout_seconds": number}, schema)
    schema = next(tool.schema for tool in TOOLS if tool.name == "tm_create_profile")
    with pytest.raises(UsageError, match=r"points\.1\.y"):
        read({**PROFILE, "points": [{"x": 0, "y": 1}, {"x": 60, "y": number}]}, schema)


def test_no_tool_takes_a_key_or_a_server():
    taken = {name for tool in TOOLS for name in tool.properties}
    taken -= {"target_url", "callback_url", "readiness_url"}  # parts of a profile
    assert not [name for name in taken if any(word in name for word in ("key", "url", "token"))]
