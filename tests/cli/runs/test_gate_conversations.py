"""`tm runs start --wait` against a server that answers as scripted: every exit code, every race."""

from __future__ import annotations

import socket

import pytest
from werkzeug.wrappers import Response

from tests.services.trafficmorph import KEY, OTHER_RUN, OWN_TAG, PROFILE, RUN, row, verdict_snapshot
from tm_cli.exit_codes import ExitCode

START = ("runs", "start", "42", "--wait")
GATED = (*START, "--fail-on", "FAIL,WARN")
START_PATH = f"/profiles/{PROFILE}/start"
STATUS_PATH = f"/profiles/{PROFILE}/status"


@pytest.mark.parametrize(
    ("verdict", "fail_on", "code"),
    [
        ("PASS", "FAIL", ExitCode.OK),
        ("PASS", "FAIL,WARN,NO_BASELINE", ExitCode.OK),
        ("WARN", "FAIL", ExitCode.OK),
        ("NO_BASELINE", "FAIL,WARN", ExitCode.OK),
        ("FAIL", "FAIL", ExitCode.FAIL),
        ("WARN", "fail, warn", ExitCode.WARN),
        ("NO_BASELINE", "NO_BASELINE", ExitCode.NO_BASELINE),
    ],
)
def test_verdict_becomes_the_exit_code(gate, server, verdict, fail_on, code):
    server.until_ended().scan(row(autoVerdict=verdict)).detail(autoVerdict=verdict)
    assert gate(*START, "--fail-on", fail_on).exit_code == code


@pytest.mark.parametrize(
    ("snapshot", "fail_on", "code"),
    [
        ({"baseline": None}, "FAIL,NO_BASELINE", ExitCode.NO_BASELINE),
        ({"baseline": None}, "FAIL,WARN,NO_BASELINE", ExitCode.WARN),
        ({"baseline": None}, "FAIL", ExitCode.OK),
        ({"baseline": None, "method": "duet"}, "FAIL,NO_BASELINE", ExitCode.OK),
        ({}, "FAIL,NO_BASELINE", ExitCode.OK),
    ],
)
def test_warning_by_an_absolute_limit_does_not_hide_that_there_was_no_baseline(
    gate, server, snapshot, fail_on, code
):
    found = {"autoVerdict": "WARN", "autoCompareSnapshot": verdict_snapshot(**snapshot)}
    server.until_ended().scan(row(**found)).detail(**found)
    assert gate(*START, "--fail-on", fail_on).exit_code == code


@pytest.mark.parametrize("verdict", ["PASS", "FAIL"])
def test_without_a_gate_the_verdict_only_informs(gate, server, verdict):
    server.until_ended().scan(row(autoVerdict=verdict)).detail(autoVerdict=verdict)
    result = gate(*START)
    assert result.exit_code == ExitCode.OK
    assert result.stdout.startswith(verdict)


def test_json_has_the_fields_of_the_official_result(gate, server):
    server.until_ended().scan(row(autoVerdict="FAIL")).detail(autoVerdict="FAIL")
    result = gate(*GATED, "--json")
    assert result.json == {
        "schema_version": 1,
        "exit_code": 2,
        "exit_name": "FAIL",
        "data": {
            "run_id": 7,
            "started_run_id": RUN,
            "profile_id": PROFILE,
            "status": "COMPLETED",
            "verdict": "FAIL",
            "verdict_reasons": ["p95 21 ms, baseline 20 ms, +5 %, limit +25 %"],
            "fail_on_match": True,
            "metrics": {
                "totalRequests": 600,
                "totalErrors": 3,
                "avgRps": 10.0,
                "peakRps": 12.0,
                "successRate": 99.5,
                "latencyQuantiles": {"p50": 8.1, "p95": 21.0, "p99": 34.5},
            },
            "verdict_pending": False,
            "waited": True,
            "baseline_run_id": 5,
            "baseline_choice": None,
            "baseline_age_seconds": None,
            "reference_run_id": None,
            "against": None,
            "comparisons": [],
            "notes": [],
            "checks": [],
            "earlier_runs": [],
            "system": "trafficmorph",
            "subject": "checkout",
            "subject_id": PROFILE,
            "decision": {
                "exit_code": 2,
                "exit_name": "FAIL",
                "message": "the verdict is FAIL",
                "hint": None,
                "code": None,
                "request_id": None,
                "judged": True,
                "verdict_gated": True,
            },
        },
        "error": None,
    }


def test_region_and_tags_go_to_the_newer_route(gate, server):
    server.profile().snapshot()
    server.answer(
        "POST",
        f"/profiles/{PROFILE}/runs",
        {"runId": RUN, "status": "RUNNING", "profileId": PROFILE},
        body={"region": "eu-west", "tags": ["ci", "nightly", OWN_TAG]},
    )
    server.status("COMPLETED").scan(row()).detail()
    flags = ("--region", "eu-west", "--tag", "ci", "--tag", "nightly")
    assert gate(*GATED, *flags).exit_code == ExitCode.OK


COMMIT = "c0ffee" + "0" * 34
NEWER_ROUTE = ("POST", f"/profiles/{PROFILE}/runs")
STARTED = {"runId": RUN, "status": "RUNNING", "profileId": PROFILE}


@pytest.mark.parametrize(
    ("environ", "tags"),
    [
        pytest.param({"TM_COMMIT": COMMIT.upper()}, [f"commit-{COMMIT}"], id="as-set"),
        pytest.param({"GITHUB_SHA": COMMIT}, [f"commit-{COMMIT}"], id="of-the-platform"),
        pytest.param({"GIT_COMMIT": "main"}, [], id="no-commit"),
    ],
)
def test_run_with_tags_gets_one_of_its_commit(tm, server, environ, tags):
    server.profile().snapshot()
    server.answer(*NEWER_ROUTE, STARTED, body={"tags": ["ci", *tags, OWN_TAG]})
    server.status("COMPLETED").scan(row()).detail()
    environ = {"TM_BASE_URL": server.url, "TM_API_KEY": KEY, "CI": "", **environ}
    assert tm(*GATED, "--tag", "ci", environ=environ).exit_code == ExitCode.OK


def test_commit_that_is_checked_out_is_a_tag(tm, server):
    git_dir = tm.cwd / ".git"
    (git_dir / "refs" / "heads").mkdir(parents=True)
    (git_dir / "HEAD").write_text("ref: refs/heads/main\n", encoding="utf-8")
    (git_dir / "refs" / "heads" / "main").write_text(f"{COMMIT}\n", encoding="utf-8")
    server.profile().snapshot()
    server.answer(*NEWER_ROUTE, STARTED, body={"tags": ["ci", f"commit-{COMMIT}", OWN_TAG]})
    server.status("COMPLETED").scan(row()).detail()
    environ = {"TM_BASE_URL": server.url, "TM_API_KEY": KEY, "GITHUB_SHA": "d" * 40}
    assert tm(*GATED, "--tag", "ci", environ=environ).exit_code == ExitCode.OK


def test_server_without_tags_gets_none(gate, tm, server):
    server.until_ended().scan(row()).detail()
    environ = {"TM_BASE_URL": server.url, "TM_API_KEY": KEY, "TM_COMMIT": COMMIT}
    assert tm(*GATED, environ=environ).exit_code == ExitCode.OK


def test_commit_that_is_none_is_refused(tm):
    result = tm(*GATED, "--tag", "ci", environ={"TM_COMMIT": "main"})
    assert result.exit_code == ExitCode.CONFIGURATION
    assert "TM_COMMIT" in result.stderr


def test_quiet_prints_the_result_and_nothing_else(gate, server):
    server.until_ended().scan(row()).detail()
    result = gate(*GATED, "--quiet")
    assert result.stdout.startswith("PASS")
    assert result.stderr == ""


# The races of section 20 of the API contract.


def test_stale_pass_of_an_earlier_run_is_not_ours(gate, server):
    earlier = row(6, runId=OTHER_RUN, autoVerdict="PASS")
    server.profile().snapshot(earlier).start().status("COMPLETED")
    server.scan(earlier)
    server.scan(row(autoVerdict="FAIL"), earlier).detail(autoVerdict="FAIL")
    assert gate(*GATED).exit_code == ExitCode.FAIL


def test_foreign_pass_beside_our_fail_does_not_count(gate, server):
    foreign = row(8, runId=OTHER_RUN, autoVerdict="PASS")
    server.until_ended().scan(foreign, row(autoVerdict="FAIL")).detail(autoVerdict="FAIL")
    assert gate(*GATED).exit_code == ExitCode.FAIL


def test_foreign_rows_alone_leave_it_undecided(gate, server):
    server.until_ended()
    for _ in range(6):
        server.scan(row(8, runId=OTHER_RUN, autoVerdict="PASS"))
    result = gate(*GATED, "--verdict-timeout", "1")
    assert result.exit_code == ExitCode.UNDECIDED
    assert OTHER_RUN in result.stderr
    assert "replaced" in result.stderr


def test_our_row_is_found_behind_a_page_of_newer_ones(gate, server):
    newer = [row(100 - n, runId=f"{OTHER_RUN}-{n}") for n in range(20)]
    server.until_ended().scan(*newer).scan(row(), number=1).detail()
    assert gate(*GATED).exit_code == ExitCode.OK


def test_paging_stops_at_the_snapshot(gate, server):
    rows = [row(30 - n, runId=f"{OTHER_RUN}-{n}") for n in range(20)]
    server.profile().snapshot(row(11, runId=OTHER_RUN)).start().status("COMPLETED")
    server.scan(*rows)
    assert gate(*GATED, "--verdict-timeout", "0").exit_code == ExitCode.UNDECIDED


def test_row_that_comes_late_is_awaited(gate, server, clock):
    server.until_ended().scan().scan().scan(row()).detail()
    assert gate(*GATED).exit_code == ExitCode.OK
    assert clock.slept[-2:] == [0.2, 0.2]


def test_verdict_that_comes_late_is_awaited(gate, server):
    server.until_ended().scan(row(autoVerdict=None)).scan(row(autoVerdict="")).scan(row()).detail()
    assert gate(*GATED).exit_code == ExitCode.OK


def test_verdict_that_never_comes_is_undecided_and_what_is_known_is_shown(gate, server):
    server.until_ended()
    for _ in range(2):
        server.scan(row(autoVerdict=None))
    server.detail(autoVerdict=None)
    result = gate(*GATED, "--verdict-timeout", "0.2s", "--json")
    assert result.exit_code == ExitCode.UNDECIDED
    assert result.json["error"]["code"] == "undecided"
    assert result.json["data"]["run_id"] == 7
    assert result.json["data"]["metrics"]["latencyQuantiles"]["p95"] == 21.0
    assert result.json["data"]["verdict_pending"] is True
    assert result.json["data"]["fail_on_match"] is True


def test_pending_verdict_without_a_gate_warns_and_succeeds(gate, server):
    server.until_ended().scan(row(autoVerdict=None)).detail(autoVerdict=None)
    result = gate(*START, "--verdict-timeout", "0")
    assert result.exit_code == ExitCode.OK
    assert "not there yet" in result.stderr


@pytest.mark.parametrize("verdict", ["ERROR", "pass", " PASS", "PASS\u200b", "PAſſ"])
def test_unknown_verdict_never_passes_a_gate(gate, server, verdict):
    server.until_ended().scan(row(autoVerdict=verdict)).detail(autoVerdict=verdict)
    result = gate(*GATED)
    assert result.exit_code == ExitCode.UNDECIDED
    assert "unknown" in result.stderr


@pytest.mark.parametrize("verdict", [["PASS"], {"v": "PASS"}, True, 1])
def test_verdict_that_is_no_text_counts_as_missing(gate, server, verdict):
    server.until_ended().scan(row(autoVerdict=verdict)).detail(autoVerdict=verdict)
    assert gate(*GATED, "--verdict-timeout", "0").exit_code == ExitCode.UNDECIDED


@pytest.mark.parametrize(
    "detail", [{"autoVerdict": "PASS"}, {"autoVerdict": "PASS", "runId": OTHER_RUN}]
)
def test_measurements_of_a_pending_run_bring_no_verdict(gate, server, detail):
    server.until_ended().scan(row(autoVerdict=None)).detail(**detail)
    result = gate(*GATED, "--verdict-timeout", "0", "--json")
    assert result.exit_code == ExitCode.UNDECIDED
    assert result.json["data"]["verdict"] is None
    is_ours = "runId" not in detail
    assert bool(result.json["data"]["metrics"]["latencyQuantiles"]) is is_ours


def test_detail_that_contradicts_the_list_is_undecided(gate, server):
    server.until_ended().scan(row(autoVerdict="PASS")).detail(autoVerdict="FAIL")
    assert gate(*GATED).exit_code == ExitCode.UNDECIDED


def test_detail_never_mends_an_unknown_verdict(gate, server):
    server.until_ended().scan(row(autoVerdict="PASS ")).detail(autoVerdict="PASS")
    assert gate(*GATED).exit_code == ExitCode.UNDECIDED


def test_verdict_stands_when_the_detail_cannot_be_read(gate, server):
    server.until_ended().scan(row(autoVerdict="FAIL"))
    server.error("GET", "/history/7", 400, "Run history not found")
    assert gate(*GATED).exit_code == ExitCode.FAIL


def test_two_rows_of_our_run_that_disagree_are_undecided(gate, server):
    server.until_ended().scan(row(8, autoVerdict="PASS"), row(7, autoVerdict="FAIL"))
    assert gate(*GATED).exit_code == ExitCode.UNDECIDED


def test_row_of_another_profile_with_our_run_id_is_not_ours(gate, server):
    server.until_ended().scan(row(profileId=43))
    assert gate(*GATED, "--verdict-timeout", "0").exit_code == ExitCode.UNDECIDED


def test_replaced_run_ends_the_wait_at_once(gate, server, clock):
    server.profile().snapshot().start().status(runId=OTHER_RUN)
    for _ in range(14):
        server.scan()
    result = gate(*GATED)
    assert result.exit_code == ExitCode.UNDECIDED
    assert "replaced" in result.stderr
    assert sum(clock.slept) == pytest.approx(30.0 + 3.0, abs=0.01)


def test_run_that_ended_just_before_it_was_replaced_still_counts(gate, server):
    server.profile().snapshot().start().status(runId=OTHER_RUN)
    server.scan(row(autoVerdict="WARN")).detail(autoVerdict="WARN")
    assert gate(*GATED).exit_code == ExitCode.WARN


def test_stopped_run_is_undecided_at_once(gate, server, clock):
    server.profile().snapshot().start().status("IDLE", runId=None)
    server.scan(row(autoVerdict=None, outcome="STOPPED"))
    server.detail(autoVerdict=None, outcome="STOPPED")
    result = gate(*GATED)
    assert result.exit_code == ExitCode.UNDECIDED
    assert "stopped" in result.stderr
    assert clock.slept == [30.0]


# Rows without runId.


def test_legacy_row_inside_the_window_is_ours(gate, server):
    server.until_ended().scan(row(runId=None, startedAt="2026-03-01T12:00:30Z"))
    server.detail(runId=None)
    assert gate(*GATED).exit_code == ExitCode.OK


def test_row_without_run_id_on_a_server_that_writes_them_is_not_ours(gate, server):
    before = row(6, runId=OTHER_RUN)
    server.profile().snapshot(before).start().status("COMPLETED").scan(row(runId=None), before)
    result = gate(*GATED, "--verdict-timeout", "0")
    assert result.exit_code == ExitCode.UNDECIDED
    assert "although this server writes them" in result.stderr


@pytest.mark.parametrize(
    ("started_at", "why"),
    [
        ("2026-03-01T11:59:54Z", "too early"),
        ("2026-03-01T12:00:31Z", "too late"),
        (None, "startedAt"),
        ("yesterday", "startedAt"),
    ],
)
def test_legacy_row_outside_the_window_is_refused_with_the_reason(gate, server, started_at, why):
    server.until_ended().scan(row(runId=None, startedAt=started_at))
    result = gate(*GATED, "--verdict-timeout", "0")
    assert result.exit_code == ExitCode.UNDECIDED
    assert why in result.stderr


def test_two_legacy_candidates_that_disagree_are_undecided(gate, server):
    server.until_ended()
    server.scan(row(9, runId=None, autoVerdict="PASS"), row(8, runId=None, autoVerdict="FAIL"))
    assert gate(*GATED).exit_code == ExitCode.UNDECIDED


@pytest.mark.parametrize("run_id", [7, True, ["x"], {"id": RUN}])
def test_run_id_that_is_no_text_makes_a_row_foreign_and_not_legacy(gate, server, run_id):
    server.until_ended().scan(row(runId=run_id))
    assert gate(*GATED, "--verdict-timeout", "0").exit_code == ExitCode.UNDECIDED


def test_status_of_the_run_before_ours_is_no_replacement(gate, server):
    server.profile().snapshot(row(6, runId=OTHER_RUN)).start()
    server.status("COMPLETED", runId=OTHER_RUN).status().status("COMPLETED")
    server.scan(row()).detail()
    assert gate(*GATED).exit_code == ExitCode.OK


def test_idle_replica_does_not_end_the_wait_for_a_run_that_goes_on(gate, server):
    server.profile().snapshot().start().status("IDLE", runId=None).scan()
    server.status().status().status("COMPLETED").scan(row(autoVerdict="WARN"))
    server.detail(autoVerdict="WARN")
    assert gate(*GATED).exit_code == ExitCode.WARN


def test_second_look_obeys_retry_after(gate, server, clock):
    server.profile().snapshot().start().status("IDLE", runId=None)
    server.error("GET", "/history", 503, "busy", headers={"Retry-After": "9"})
    server.scan()
    server.error("GET", STATUS_PATH, 429, "slow down", headers={"Retry-After": "11"})
    server.scan(row()).detail()
    assert gate(*GATED).exit_code == ExitCode.OK
    assert clock.slept == [30.0, 9.0, 11.0]


def test_exact_match_on_a_later_row_beats_a_legacy_candidate(gate, server):
    legacy = row(9, runId=None, autoVerdict="PASS")
    server.until_ended().scan(legacy, row(autoVerdict="FAIL")).detail(autoVerdict="FAIL")
    assert gate(*GATED).exit_code == ExitCode.FAIL


@pytest.mark.parametrize("run_id", [None, "", "  ", 7, ["x"]])
def test_start_without_run_id_needs_a_legacy_row(gate, server, run_id):
    server.profile().snapshot().start(run_id).status("COMPLETED", runId=None)
    server.scan(row(runId=OTHER_RUN))
    result = gate(*GATED, "--verdict-timeout", "0")
    assert result.exit_code == ExitCode.UNDECIDED


def test_snapshot_row_without_a_usable_id_stops_before_the_start(gate, server):
    server.profile().snapshot(row(id="7"))
    assert gate(*GATED).exit_code == ExitCode.ERROR


# Timeouts and pacing.


def test_gives_up_at_the_deadline_and_says_how_to_go_on(gate, server, clock):
    server.profile().snapshot().start()
    for _ in range(4):
        server.status()
    result = gate(*GATED, "--poll-interval", "5", "--wait-timeout", "12")
    assert result.exit_code == ExitCode.WAIT_TIMEOUT
    assert clock.slept == [5.0, 5.0, 2.0]
    assert f"tm runs wait {PROFILE} --run-id {RUN}" in result.stderr


def test_auto_pace_looks_exactly_at_the_expected_end(gate, server, clock):
    server.profile().snapshot().start()
    server.status(elapsedSeconds=29.0).status(elapsedSeconds=44.0).status("COMPLETED")
    server.scan(row()).detail()
    gate(*GATED)
    assert clock.slept == [30.0, 15.5, 16.0]


def test_planned_rate_comes_from_the_curve_where_the_server_does_not_say_it(gate, server):
    server.until_ended().scan(row()).detail()
    assert "9.8 of 10 requests/s" in gate(*GATED).stderr


def test_paused_run_is_waited_for(gate, server):
    server.profile().snapshot().start().status("PAUSED").status("COMPLETED").scan(row()).detail()
    result = gate(*GATED)
    assert result.exit_code == ExitCode.OK
    assert "paused" in result.stderr


def test_older_server_without_status_is_polled_by_its_profile(gate, server):
    server.profile().snapshot().start()
    server.error("GET", STATUS_PATH, 404, "Not Found")
    server.profile(status="RUNNING").profile(status="COMPLETED").scan(row()).detail()
    assert gate(*GATED).exit_code == ExitCode.OK


# Answers that are errors, or no answers.


@pytest.mark.parametrize(
    ("code", "error", "more"),
    [
        (409, "Monthly request quota used up", {"code": "USAGE_LIMIT_REACHED"}),
        (400, "Concurrent run limit reached", {}),
        (400, "Domain not verified", {}),
        (429, "Rate limit exceeded", {"headers": {"Retry-After": "7"}}),
    ],
)
def test_refused_start_is_no_run(gate, server, code, error, more):
    server.profile().snapshot().error("POST", START_PATH, code, error, **more)
    result = gate(*GATED)
    assert result.exit_code == ExitCode.REFUSED
    assert error in result.stderr


@pytest.mark.parametrize(
    ("code", "body"),
    [
        (401, {"error": "Authentication required", "code": "AUTH_REQUIRED"}),
        (403, {"error": "The API needs plan TEAM", "code": "PLAN_UPGRADE_REQUIRED"}),
        (403, {"error": "trial_expired"}),
    ],
)
@pytest.mark.parametrize("moment", ["before", "start", "polling", "scanning"])
def test_refused_key_ends_it(gate, server, code, body, moment):
    if moment == "before":
        path = f"/profiles/{PROFILE}"
    else:
        server.profile().snapshot()
        path = START_PATH
    if moment in {"polling", "scanning"}:
        server.start()
        path = STATUS_PATH
    if moment == "scanning":
        server.status("COMPLETED")
        path = "/history"
    method = "POST" if moment == "start" else "GET"
    server.answer(method, path, body, code=code)
    if code == 401 and moment in {"polling", "scanning"}:  # the key has just worked: look again
        server.answer(method, path, body, code=code)
    result = gate(*GATED)
    assert result.exit_code == ExitCode.AUTHENTICATION
    assert body["error"] in result.stderr
    if moment in {"polling", "scanning"}:
        assert f"wait for it again: tm runs wait {PROFILE} --run-id {RUN}" in result.stderr


@pytest.mark.parametrize("path", [STATUS_PATH, "/history"])
def test_key_that_is_refused_once_while_waiting_is_tried_again(gate, server, path):
    server.profile().snapshot().start()
    if path == "/history":
        server.status("COMPLETED")
    server.error("GET", path, 401, "Authentication required", code="AUTH_REQUIRED")
    if path == STATUS_PATH:
        server.status("COMPLETED")
    server.scan(row()).detail()
    assert gate(*GATED).exit_code == ExitCode.OK


@pytest.mark.parametrize("code", [400, 401, 403, 404, 405, 407, 410, 451, 501, 520, 521, 530, 599])
@pytest.mark.parametrize(
    ("text", "content_type"),
    [
        ("<html>blocked</html>", "text/html"),
        ("", "text/plain"),
        ('{"message": "no route matched"}', "application/json"),
        ('{"error": ', "application/json"),
    ],
)
def test_page_in_place_of_an_answer_does_not_end_the_wait(gate, server, code, text, content_type):
    page = {"code": code, "text": text, "content_type": content_type}
    server.profile().snapshot().start().answer("GET", STATUS_PATH, **page)
    if code == 404:  # which an older server answers, too
        server.answer("GET", f"/profiles/{PROFILE}", **page)
    server.status().status("COMPLETED")
    server.answer("GET", "/history", **page).scan(row()).detail()
    result = gate(*GATED)
    assert result.exit_code == ExitCode.OK
    assert "9.8 of 10 requests/s" in result.stderr, "the live status is read again"


def test_pages_until_the_deadline_are_a_wait_that_knows_nothing(gate, server):
    server.profile().snapshot().start()
    for _ in range(4):
        server.answer("GET", STATUS_PATH, code=403, text="<html>", content_type="text/html")
    result = gate(*GATED, "--poll-interval", "5", "--wait-timeout", "12")
    assert result.exit_code == ExitCode.WAIT_TIMEOUT
    assert f"the server has not answered for 12s; nothing is known about run {RUN}" in result.stderr
    assert "the last request failed: the server answered HTTP 403" in result.stderr
    assert f"tm runs wait {PROFILE} --run-id {RUN}" in result.stderr


def test_end_of_a_wait_that_no_verdict_made_names_run_and_command(gate, server):
    server.profile().snapshot().start().status()
    server.error("GET", STATUS_PATH, 403, "The API needs plan TEAM", code="PLAN_UPGRADE_REQUIRED")
    result = gate(*GATED, "--json")
    assert result.exit_code == ExitCode.AUTHENTICATION
    assert f"run {RUN} was running when it was last seen" in result.json["error"]["message"]
    resume = f"tm runs wait {PROFILE} --run-id {RUN} --fail-on FAIL,WARN"
    assert resume in result.json["error"]["hint"]


def test_verdict_that_does_not_come_in_time_can_be_waited_for_again(gate, server):
    server.until_ended().scan(row(autoVerdict=None)).detail(autoVerdict=None)
    result = gate(*GATED, "--verdict-timeout", "0")
    assert result.exit_code == ExitCode.UNDECIDED
    assert f"wait for it again: tm runs wait {PROFILE} --run-id {RUN}" in result.stderr


def test_run_that_was_stopped_is_not_to_be_waited_for_again(gate, server):
    server.until_ended().scan(row(autoVerdict=None, outcome="STOPPED"))
    server.detail(autoVerdict=None, outcome="STOPPED")
    assert "wait for it again" not in gate(*GATED).stderr


def test_rate_limit_while_polling_is_waited_out(gate, server, clock):
    server.profile().snapshot().start()
    server.error("GET", STATUS_PATH, 429, "slow down", headers={"Retry-After": "17"})
    server.status("COMPLETED").scan(row()).detail()
    assert gate(*GATED).exit_code == ExitCode.OK
    assert clock.slept == [30.0, 17.0]


def test_failed_look_is_repeated_soon_and_does_not_blur_the_expected_end(gate, server, clock):
    server.profile().snapshot().start()
    for _ in range(7):
        server.error("GET", STATUS_PATH, 503, "busy")
    server.status("COMPLETED").scan(row()).detail()
    assert gate(*GATED).exit_code == ExitCode.OK
    assert clock.slept == [30.0, 5.0, 5.0, 5.0, 5.0, 5.0, 5.0, 0.2]


@pytest.mark.parametrize(
    "answer",
    [
        {"text": "<html>Log in</html>", "content_type": "text/html"},
        {"text": "Bad Gateway", "code": 502, "content_type": "text/html"},
        {"text": '{"status": "COMPL'},
        {"text": '{"status":"COMPLETED","status":"RUNNING"}'},
        {"text": "[]"},
        {"text": "{}"},
        {"text": '{"message": "down for maintenance"}'},
        {"text": '{"error": "busy"}'},
        {"text": b"\xff\xfe", "content_type": "application/json"},
        {"text": '{"currentRps": NaN}'},
        {"text": "{}", "headers": {"Content-Encoding": "gzip"}},
        {"text": "{}", "code": 302, "headers": {"Location": "https://evil.example/"}},
    ],
)
def test_unusable_answer_while_polling_observes_nothing(gate, server, answer):
    server.profile().snapshot().start()
    server.answer("GET", STATUS_PATH, **answer)
    server.status("COMPLETED").scan(row(autoVerdict="FAIL")).detail(autoVerdict="FAIL")
    assert gate(*GATED).exit_code == ExitCode.FAIL


@pytest.mark.parametrize(
    "answer",
    [
        {"text": "<html>Log in</html>", "content_type": "text/html"},
        {"text": "Bad Gateway", "code": 502, "content_type": "text/html"},
        {"text": "Too many requests", "code": 429, "content_type": "text/html"},
        {"text": '{"runId": "a", "runId": "b"}'},
        {"text": "null"},
        {"text": "{}", "code": 307, "headers": {"Location": "https://evil.example/"}},
        {"document": {"runId": RUN, "status": "RUNNING", "profileId": 43}},
    ],
    ids=["portal", "502", "gateway-429", "repeated", "null", "redirect", "other-profile"],
)
def test_start_whose_answer_is_unusable_is_unknown_and_not_repeated(gate, server, answer):
    server.profile().snapshot().start(**answer).status()
    result = gate(*GATED)
    assert result.exit_code == ExitCode.START_UNKNOWN
    assert "the profile is RUNNING now" in result.stderr
    assert f"tm runs wait {PROFILE} --run-id {RUN}" in result.stderr
    starts = [request for request, _ in server.requests if request.method == "POST"]
    assert len(starts) == 1


def test_start_that_names_a_run_from_before_is_unknown(gate, server):
    server.profile().snapshot(row(6)).start().status()
    assert gate(*GATED).exit_code == ExitCode.START_UNKNOWN


LOST = {"text": "Bad Gateway", "code": 502, "content_type": "text/html"}
TAGGED = ("--tag", "Build-7")


def lose_tagged_start(server, **active):
    server.profile().snapshot().answer("POST", f"/profiles/{PROFILE}/runs", **LOST)
    return server.status(**active)


def test_run_with_our_own_tag_is_recognised_after_a_lost_answer(gate, server):
    lose_tagged_start(server, tags=["build-7", OWN_TAG])
    server.status("COMPLETED").scan(row(autoVerdict="WARN")).detail(autoVerdict="WARN")
    assert gate(*GATED, *TAGGED).exit_code == ExitCode.WARN


@pytest.mark.parametrize(
    "active",
    [
        {"tags": ["build-7"]},
        {"tags": ["build-7", "tm-of-somebody-else"]},
        {"tags": []},
        {"tags": [OWN_TAG], "runId": None},
        {"tags": OWN_TAG},
    ],
    ids=str,
)
def test_run_without_our_own_tag_is_never_adopted(gate, server, active):
    lose_tagged_start(server, **active)
    assert gate(*GATED, *TAGGED).exit_code == ExitCode.START_UNKNOWN


def test_run_without_tags_is_never_adopted(gate, server):
    server.profile().snapshot().start(**LOST).status(elapsedSeconds=0.1)
    assert gate(*GATED).exit_code == ExitCode.START_UNKNOWN


def test_verdict_in_a_repeated_key_is_never_read(gate, server):
    twice = '"autoVerdict": "FAIL", "autoVerdict": "PASS"'
    text = f'{{"content": [{{"id": 7, "runId": "{RUN}", {twice}}}]}}'
    server.until_ended().answer("GET", "/history", text=text)
    assert gate(*GATED, "--verdict-timeout", "0").exit_code == ExitCode.UNDECIDED


def test_server_that_is_down_is_unavailable(tm):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environ = {"TM_BASE_URL": f"http://127.0.0.1:{port}", "TM_API_KEY": "tm_k"}
    result = tm(*GATED, environ=environ)
    assert result.exit_code == ExitCode.UNAVAILABLE
    assert f"cannot reach GET http://127.0.0.1:{port}/" in result.stderr


def test_unknown_profile_is_refused(gate, server):
    server.error("GET", f"/profiles/{PROFILE}", 400, "Profile not found")
    assert gate(*GATED).exit_code == ExitCode.REFUSED


def test_looping_profile_is_not_waited_for(gate, server):
    server.profile(loop=True)
    assert gate(*GATED).exit_code == ExitCode.USAGE


# Mistakes that must not send a request: no answer is scripted, so any request fails the test.


@pytest.mark.parametrize(
    "argv",
    [
        (*START, "--fail-on", "FAILL"),
        (*START, "--fail-on", ""),
        (*START, "--fail-on", ","),
        (*START, "--fail-on", "PASS"),
        ("runs", "start", "42", "--fail-on", "FAIL"),
        (*START, "--wait-timeout", "0"),
        (*START, "--wait-timeout", "nan"),
        (*START, "--poll-interval", "-1"),
        (*START, "--timeout", "soon"),
        (*START, "--tag", "not a tag"),
        ("runs", "start", "", "--wait"),
        ("runs", "start", "0", "--wait"),
        ("runs", "start", str(2**63), "--wait"),
        ("runs", "start"),
        ("runs", "strat", "42"),
        ("runs", "wait", "42"),
        ("runs", "wait", "42", "--run-id", " "),
        ("history", "show", "zer"),
        ("history", "list", "--verdict", "MAYBE"),
        ("history", "list", "--from", "yesterday"),
    ],
    ids=" ".join,
)
def test_mistake_on_the_command_line_sends_nothing(gate, server, argv):
    result = gate(*argv)
    assert result.exit_code == ExitCode.USAGE
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    assert not server.requests


# Attaching to a run.


def test_wait_attaches_to_a_run_by_its_id(gate, server):
    server.status("RUNNING").status("COMPLETED").scan(row(autoVerdict="WARN"))
    server.detail(autoVerdict="WARN")
    result = gate("runs", "wait", "42", "--run-id", RUN, "--fail-on", "WARN")
    assert result.exit_code == ExitCode.WARN


def test_wait_never_takes_a_legacy_row(gate, server):
    server.status("IDLE", runId=None).scan(row(runId=None))
    result = gate("runs", "wait", "42", "--run-id", RUN, "--verdict-timeout", "0")
    assert result.exit_code == ExitCode.UNDECIDED


def test_start_without_wait_returns_the_run(gate, server):
    server.profile().start()
    result = gate("runs", "start", "42", "--json")
    assert result.exit_code == ExitCode.OK
    assert result.json["data"] == {
        "run_id": RUN,
        "started_run_id": RUN,
        "profile_id": PROFILE,
        "status": "RUNNING",
        "waited": False,
    }


# A key that is replaced while a gate waits.

NEW_KEY = "tm_the-next-key-0987654321"


@pytest.fixture
def replaced_key(tm, server, httpserver):
    """Run tm with a key file whose key the server takes until `path` is asked for, then another."""

    def run(path, *argv):
        file = tm.home / "key"
        file.write_text(f"{KEY}\n")

        def refuse(_request):
            file.write_text(f"{NEW_KEY}\n")
            return Response('{"error": "revoked"}', status=401, content_type="application/json")

        httpserver.expect_ordered_request(path).respond_with_handler(refuse)
        return lambda: tm(*argv, environ={"TM_BASE_URL": server.url, "TM_API_KEY_FILE": str(file)})

    return run


def test_key_file_is_read_again_when_its_key_is_refused(server, httpserver, replaced_key):
    server.profile().snapshot().start()
    run = replaced_key(f"/api/v1{STATUS_PATH}", *GATED)
    server.key = NEW_KEY
    server.status("COMPLETED").scan(row()).detail()
    result = run()
    assert result.exit_code == ExitCode.OK
    assert NEW_KEY not in result.stdout + result.stderr
    assert "retrying" not in result.stderr


def test_start_that_the_api_refused_for_its_key_is_sent_with_the_new_one(server, replaced_key):
    server.profile().snapshot()
    run = replaced_key(f"/api/v1{START_PATH}", *GATED)
    server.key = NEW_KEY
    server.start().status("COMPLETED").scan(row()).detail()
    assert run().exit_code == ExitCode.OK


def test_start_is_not_sent_again_after_a_401_that_is_not_the_apis(tm, server, httpserver):
    file = tm.home / "key"
    file.write_text(f"{KEY}\n")
    server.profile().snapshot()

    def refuse(_request):
        file.write_text(f"{NEW_KEY}\n")
        return Response("<html>", status=401, content_type="text/html")

    httpserver.expect_ordered_request(f"/api/v1{START_PATH}").respond_with_handler(refuse)
    environ = {"TM_BASE_URL": server.url, "TM_API_KEY_FILE": str(file)}
    assert tm(*GATED, environ=environ).exit_code == ExitCode.AUTHENTICATION
