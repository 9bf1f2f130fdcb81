"""The account and its limits, as they are shown and as they are said before a start."""

import pytest

from tests.services.trafficmorph import KEY, PROFILE
from tm_cli.exit_codes import ExitCode

ACCOUNT = {
    "deploymentMode": "CLOUD",
    "subscriptionType": "TEAM",
    "subscriptionStatus": "ACTIVE",
    "trialEndsAt": None,
    "trialExpired": False,
    "graceEndsAt": "2026-03-09T00:00:00Z",
    "limits": {
        "maxRps": 1500,
        "maxConcurrentRuns": 5,
        "maxProfiles": 200,
        "maxScheduledRuns": 0,
        "maxVariablesSets": 25,
        "historyRetentionDays": 30,
        "apiRequestsPerMinute": 60,
        "maxNotifyEmails": 0,
        "maxRequestHeaderBytes": 0,
    },
    "usage": {
        "usedRequests": 450_000,
        "includedRequests": 1_000_000,
        "activeRunCount": 5,
        "profileCount": 1,
        "scheduledRunCount": 0,
        "variablesSetCount": 3,
    },
    "features": {"remoteRegions": True, "lifecycleScripts": False},
}


def test_usage_is_shown_against_its_limits(gate, server):
    server.answer("GET", "/account", ACCOUNT)
    lines = gate("account", "show").stdout.splitlines()
    assert lines == [
        "Plan TEAM",
        "Subscription ACTIVE",
        "The grace period ends 2026-03-09 00:00:00Z",
        "",
        "Usage",
        "  requests this month  450,000  of 1,000,000  ████░░░░░░ 45 %",
        "  active runs                5  of 5          ██████████ 100 %",
        "  profiles                   1  of 200        █░░░░░░░░░ 0 %",
        "  schedule slots             0  of 0          ██████████ 100 %",
        "  variables sets             3  of 25         █░░░░░░░░░ 12 %",
        "",
        "Limits",
        "  rate of all runs  1,500 requests/s",
        "  API requests      60 a minute",
        "  history           30 days",
        "  one header        no limit",
        "  e-mail addresses  none",
        "",
        "Features: remoteRegions",
    ]


def test_json_of_the_account_is_what_the_server_has(gate, server):
    server.answer("GET", "/account", ACCOUNT)
    assert gate("account", "show", "--json").json["data"] == ACCOUNT


@pytest.mark.parametrize("answer", [{}, {"limits": "many", "usage": {"usedRequests": None}}])
def test_what_an_account_does_not_tell_is_left_out(gate, server, answer):
    server.answer("GET", "/account", answer)
    assert gate("account", "show").stdout == "Plan -\n"


def test_regions_are_listed(gate, server):
    local = {"regionCode": "local", "displayName": "Local", "isLocal": True, "agentCount": 1}
    agent = {"regionCode": "eu", "displayName": "Europe", "isLocal": False, "connectedCount": 2}
    server.answer("GET", "/regions", [agent, local])
    assert gate("regions", "list").stdout.splitlines() == [
        "REGION  NAME    LOCAL  AGENTS  CONNECTED",
        "eu      Europe  -      -       2",
        "local   Local   yes    1       -",
    ]


FAST = [{"x": 0, "y": 2000}, {"x": 60, "y": 2000}]
STARTED = {"runId": "r", "status": "RUNNING", "profileId": PROFILE}


@pytest.mark.parametrize(
    ("limits", "usage", "words"),
    [
        ({"maxRps": 1500}, {}, "would cut it off at 1,500 (maxRps)"),
        ({"maxProfileRps": 900, "maxRps": 1500}, {}, "would cut it off at 900 (maxProfileRps)"),
        ({"maxConcurrentRuns": 2}, {"activeRunCount": 2}, "2 other runs are active, and"),
        ({"maxRps": 9000}, {"activeRunCount": 1}, "another run is active, and all share"),
        ({}, {"usedRequests": 12, "includedRequests": 10}, "requests of this month are used up"),
        ({"maxConcurrentRuns": 0, "maxRps": 2000}, {"usedRequests": 9, "includedRequests": 10}, ""),
        (None, None, ""),
    ],
)
@pytest.mark.parametrize("quiet", [(), ("--quiet",)])
def test_what_the_limits_do_to_a_start_is_said_before_it(gate, server, limits, usage, words, quiet):
    server.profile(points=FAST)
    if limits is None:
        server.error("GET", "/account", 500, "it broke")
    else:
        server.answer("GET", "/account", {"limits": limits, "usage": usage})
    server.answer("POST", f"/profiles/{PROFILE}/start", STARTED)
    result = gate("runs", "start", str(PROFILE), *quiet)
    assert result.exit_code == ExitCode.OK
    said = [line for line in result.stderr.splitlines() if "server w" in line or "may cut" in line]
    assert [words in line for line in said] == [True] * bool(words)


def test_steps_count_as_the_requests_that_they_are(gate, server):
    steps = [{"request": "GET /a"}, {"think": [1, 2]}, {"request": "GET /b"}]
    points = [{"x": 0, "y": 60}, {"x": 60, "y": 60}]
    server.profile(points=points, steps=steps)
    server.answer("GET", "/account", {"limits": {"maxRps": 100}})
    server.answer("POST", f"/profiles/{PROFILE}/start", STARTED)
    assert "is 120 requests per second" in gate("runs", "start", str(PROFILE)).stderr


def test_an_active_run_that_is_replaced_takes_no_room(tm, server):
    server.profile(points=FAST, status="RUNNING")
    account = {"limits": {"maxConcurrentRuns": 1}, "usage": {"activeRunCount": 1}}
    server.answer("GET", "/account", account).status()
    server.answer("POST", f"/profiles/{PROFILE}/start", STARTED)
    own = {"TM_BASE_URL": server.url, "TM_API_KEY": KEY}
    result = tm("runs", "start", str(PROFILE), environ=own)
    assert "refuse this start" not in result.stderr
