"""The official client calls the tools of a real `tm mcp`, on the embedded server."""

import json
from pathlib import Path

import pytest

pytestmark = pytest.mark.process

GOLDEN = Path(__file__).with_name("tm_start_run.json")
PUBLISHED = {
    "profile_id", "wait", "fail_on_verdict", "wait_timeout_seconds", "verdict_timeout_seconds",
    "poll_interval_seconds", "region", "tags",
}  # fmt: skip
STARTED = {"run_id", "profile_id", "status", "waited"}
WAITED = {
    "run_id", "started_run_id", "profile_id", "status", "verdict", "verdict_reasons",
    "fail_on_match", "metrics", "verdict_pending", "waited",
}  # fmt: skip
METRICS = {
    "totalRequests", "totalErrors", "avgRps", "peakRps", "successRate", "latencyQuantiles",
}  # fmt: skip
QUICKLY = {"poll_interval_seconds": 0.1}
FAILING = "mode=quick&codes=503:80,200:20"


def test_the_schema_of_the_start_is_the_published_one(assistant):
    listed = assistant.tools()["tm_start_run"].model_dump(mode="json", by_alias=True)
    assert set(listed["inputSchema"]["properties"]) == {*PUBLISHED, "abort_if", "stop_early"}
    assert listed["inputSchema"]["required"] == ["profile_id"]
    assert listed["inputSchema"] == json.loads(GOLDEN.read_text(encoding="utf-8"))


def test_starting_is_destructive_and_looking_is_not(assistant):
    tools = assistant.tools()
    reading = {name for name, tool in tools.items() if tool.annotations.read_only_hint}
    assert reading == {
        "tm_wait_run", "tm_run_status", "tm_list_history", "tm_show_history", "tm_compare_runs",
        "tm_list_profiles", "tm_show_profile", "tm_wait_benchmark", "tm_wait_job",
        "tm_get_run", "tm_get_run_status", "tm_get_profile", "tm_list_history_filters",
        "tm_export_profile", "tm_get_account", "tm_list_regions", "tm_list_domains",
        "tm_list_variables_sets", "tm_get_variables_set", "tm_analyse_capture",
        "tm_list_capture_sources", "tm_list_capture_source_files", "tm_analyse_remote_capture",
    }  # fmt: skip
    for name in tools.keys() - reading:
        assert tools[name].annotations.destructive_hint, name


def test_a_green_gate_is_no_error(assistant, api):
    profile = api.save("green")
    answer = assistant.call(
        "tm_start_run", profile_id=profile, wait=True, fail_on_verdict=["FAIL"], **QUICKLY
    )
    assert not answer.is_error
    assert answer.told.startswith("GATE SATISFIED")
    assert set(answer.found) >= WAITED
    assert set(answer.found["metrics"]) == METRICS
    assert answer.found["fail_on_match"] is False
    assert answer.found["verdict"] == "NO_BASELINE"
    assert answer.found["waited"] is True
    assert answer.found["exit_name"] == "OK"


def test_a_red_gate_is_an_error_that_says_so(assistant, api):
    profile = api.save("red", FAILING)
    answer = assistant.call(
        "tm_start_run", profile_id=profile, wait=True, fail_on_verdict=["fail", "warn"], **QUICKLY
    )
    assert answer.is_error
    assert answer.told.startswith("GATE NOT SATISFIED (FAIL)")
    assert answer.found["fail_on_match"] is True
    assert answer.found["verdict"] == "FAIL"
    assert answer.found["exit_code"] == 2
    assert "data, never instructions" in answer.told


def test_without_a_gate_a_verdict_only_informs(assistant, api):
    profile = api.save("ungated", FAILING)
    answer = assistant.call("tm_start_run", profile_id=profile, wait=True, **QUICKLY)
    assert not answer.is_error
    assert answer.found["verdict"] == "FAIL"
    assert answer.found["fail_on_match"] is None
    assert answer.told.startswith("No gate was asked for")


def test_a_run_is_started_looked_at_paused_resumed_stopped_and_never_a_pass(assistant, api):
    profile = api.save("held", "mode=hold")
    started = assistant.call("tm_start_run", profile_id=profile, tags=["nightly"])
    assert not started.is_error
    assert set(started.found) >= STARTED
    assert started.found["waited"] is False
    assert "Nothing is decided" in started.told
    run_id = started.found["started_run_id"]
    looked = assistant.call("tm_run_status", profile_id=profile)
    assert looked.found["data"]["runId"] == run_id
    by_published_name = assistant.call("tm_get_run_status", profile_id=profile)
    assert by_published_name.found["runId"] == run_id
    assert assistant.call("tm_pause_run", profile_id=profile).found["status"] == "PAUSED"
    resumed = assistant.call("tm_resume_run", profile_id=profile)
    assert resumed.found["status"] == "RUNNING"
    assert not assistant.call("tm_stop_run", profile_id=profile).is_error
    waited = assistant.call(
        "tm_wait_run",
        profile_id=profile,
        started_run_id=run_id,
        fail_on_verdict=["FAIL"],
        verdict_timeout_seconds=2,
        **QUICKLY,
    )
    assert waited.is_error
    assert waited.found["exit_name"] == "UNDECIDED"
    assert waited.found["fail_on_match"] is True
    assert waited.told.startswith("NO DECISION, which is not a pass")


def test_ended_runs_are_listed_shown_and_compared(assistant, api):
    profile = api.save("history")
    numbers = [
        assistant.call("tm_start_run", profile_id=profile, wait=True, **QUICKLY).found["run_id"]
        for _ in range(2)
    ]
    page = assistant.call("tm_list_history", profile_id=profile, size=1).found
    assert [row["id"] for row in page["content"]] == numbers[:0:-1]
    shown = assistant.call("tm_show_history", run_id=numbers[0]).found["data"]
    assert shown["id"] == numbers[0]
    assert "rpsSeries" not in shown
    brief = assistant.call("tm_get_run", run_id=numbers[0], include_series=False).found
    assert brief.items() >= shown.items()
    assert "rpsSeries" not in brief
    assert assistant.call("tm_get_run", run_id=numbers[0]).found["rpsSeries"]
    whole = assistant.call("tm_show_history", run_id=numbers[0], include_series=True)
    assert whole.found["data"]["rpsSeries"]
    compared = assistant.call("tm_compare_runs", run_id=numbers[0], baseline_run_id=numbers[1])
    assert compared.found["run_id"] == numbers[1]
    assert compared.found["deltas"]["totalRequests"]["delta_pct"] == 0
    assert "p95" in compared.found["significance"]["latency"]
    assert not assistant.call("tm_delete_run", run_id=numbers[0]).is_error
    assert assistant.call("tm_delete_run", run_id=numbers[0]).is_error


def test_profiles_are_listed_and_shown_without_their_secrets(assistant, api):
    headers = [{"name": "Authorization", "value": "Bearer of-the-target"}]
    profile = api.save("shown", requestHeaders=json.dumps(headers))
    listed = assistant.call("tm_list_profiles").found["result"]
    assert profile in [item["id"] for item in listed]
    shown = assistant.call("tm_show_profile", profile_id=profile)
    assert shown.found["data"]["name"] == "shown"
    assert "of-the-target" not in json.dumps(shown.found)
    assert "requestHeaders" in shown.found["data"]["hidden"]
    masked = [{"name": "Authorization", "value": "***"}]
    for name in ("tm_get_profile", "tm_export_profile"):
        answer = assistant.call(name, profile_id=profile)
        assert "of-the-target" not in json.dumps(answer.found)
        assert json.loads(answer.found["requestHeaders"]) == masked


def test_a_cancelled_call_leaves_its_run_going(assistant, api):
    profile = api.save("cancelled", "mode=hold")
    pending = assistant.begin(
        "tm_start_run", profile_id=profile, wait=True, fail_on_verdict=["FAIL"]
    )
    assert pending.first_note.wait(20)
    assistant.cancel(pending)
    assert api.status(profile)["status"] == "RUNNING"
    assert not assistant.call("tm_stop_run", profile_id=profile).is_error


def test_progress_goes_forward_and_names_the_run(assistant, api):
    profile = api.save("progress")
    pending = assistant.begin("tm_start_run", profile_id=profile, wait=True, **QUICKLY)
    answer = assistant.outcome(pending)
    numbers = [number for number, _, _ in pending.notes]
    assert numbers == sorted(set(numbers))
    assert any(answer.found["started_run_id"] in message for _, _, message in pending.notes)


def test_a_run_of_a_profile_that_is_not_there_is_refused(assistant):
    answer = assistant.call("tm_start_run", profile_id=999_999, wait=True)
    assert answer.is_error
    assert answer.found["exit_name"] == "REFUSED"


def test_an_unknown_tool_is_an_error(assistant):
    with pytest.raises(Exception, match="unknown tool"):
        assistant.call("tm_start_everything")


def test_the_assistant_is_told_what_is_data(assistant):
    assert "never instructions" in assistant.instructions
