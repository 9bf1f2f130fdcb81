"""What commands show of a server's texts obeys nobody: not the terminal, not a CI runner."""

from __future__ import annotations

import json
import random
import re

import pytest
from werkzeug.wrappers import Response

from tests.services.trafficmorph import (
    KEY,
    comparison,
    detail,
    other_side,
    page,
    profile,
    row,
    series,
    status,
    verdict_snapshot,
)
from tests.simulation.github_runner import commands, other_systems, steering
from tests.simulation.hostile import text

ROUNDS = 10
DOCUMENT = "name: a\nduration: 1m\nendpointUrl: http://x/\npoints: [[0, 5], [60, 5]]\n"
VIEWS = (
    ("profiles", "list"),
    ("profiles", "show", "42"),
    ("profiles", "schedule", "show", "42"),
    ("history", "list"),
    ("history", "list", "--fields", "profileName,tags,latencyQuantiles.p95,commit"),
    ("history", "show", "7"),
    ("history", "show", "latest"),
    ("history", "filters"),
    ("history", "trend", "42"),
    ("history", "compare", "9", "7"),
    ("history", "changes", "42"),
    ("domains", "list"),
    ("domains", "show", "1"),
    ("domains", "verify", "dns", "1"),
    ("captures", "sources"),
    ("captures", "files", "1"),
    ("baseline", "show", "42"),
    ("baseline", "pin", "7"),
    ("runs", "status", "42"),
    ("runs", "stop", "42"),
    ("runs", "start", "42"),
    ("runs", "wait", "42", "--run-id", "mistyped"),
    ("profiles", "export", "42"),
    ("profiles", "create", "new", "--target", "http://x/", "--rate", "5", "--duration", "1m"),
    ("profiles", "update", "42", "--rate", "5"),
    ("profiles", "diff", "a.yaml", "42"),
    ("profiles", "apply", "a.yaml"),
    ("profiles", "plot", "42"),
    ("captures", "analyse", "--source", "1", "--path", "a.jsonl"),
    ("captures", "import", "--source", "1", "--path", "a.jsonl", "--select", "all"),
    ("plan", "42"),
    ("calibrate", "--show"),
    ("variables", "list"),
    ("variables", "show", "3"),
    ("variables", "mode", "3", "ROW"),
    ("account", "show"),
    ("regions", "list"),
)
LINES = (("history", "list", "--jsonl"), ("history", "export", "--format", "csv"))
MARKDOWN = ("history", "compare", "9", "7", "--format", "markdown")


def hostile_comparisons(say):
    texts = {"unit": say(), "verdict": say(), "than": say(), "reason": say()}
    return [comparison(say(), **texts), comparison(say(), verdict="FAIL")]


def hostile_steps(say):
    """As results, as comparisons and as those of a run in flight."""
    words = {"name": say(), "verdict": say(), "responseCodes": {say(): 3}}
    numbers = {"totalRequests": 9, "totalErrors": 1, "latencyQuantiles": {say(): 3.0}}
    return [words | numbers | {"comparisons": hostile_comparisons(say)}, say()]


def hostile_script(say):
    return json.dumps({"ok": 3, "errors": 2, "messages": {say(): 2}, "notes": [say()], say(): 1})


def hostile_row(say):
    rows = {"profileName": say(), "runId": say(), "autoVerdict": say(), "region": say()}
    rows |= {"autoVerdictReasons": json.dumps([say(), {say(): say()}]), "tags": [say()]}
    rows |= {"responseCodes": json.dumps({say(): 3}), "outcome": say()}
    rows |= {"latencyQuantiles": json.dumps({say(): 3.0}), "notes": [say()]}
    rows |= {"steps": hostile_steps(say), "scriptStats": hostile_script(say)}
    found = verdict_snapshot(
        *hostile_comparisons(say), baselineChoice=say(), steps=hostile_steps(say)
    )
    return rows | {"autoCompareSnapshot": found}


def hostile_history(path, say, chance):
    if path == "captures/analyse-remote":
        group = {"method": say(), "urlSkeleton": say(), "variables": [{"name": say()}]}
        kinds = [group | {"warnings": [say(), say()]}, {**group, "problem": say()}]
        return {"stats": {"totalRequests": 9}, "groups": kinds}
    if path == "captures/import-remote":
        skipped = [{"method": say(), "urlSkeleton": say(), "reason": say()}]
        created = [{"profileId": 7, "name": say()}]
        return {"createdProfiles": created, "skippedSelections": skipped, "warnings": [say()]}
    if path == "history":
        return page(row(**hostile_row(say)))
    if path == "history/filters":
        named = {"profiles": [{"id": 1, "name": say()}], "triggeredBy": [say()]}
        return named | {"regions": [say()], "tags": [say(), say()], "autoVerdicts": [say()]}
    if path == "history/compare":
        latency = {say(): {"meanA": 1.0, "meanB": 2.0}}
        items = chance.choice((hostile_comparisons(say), say()))
        steps = {"steps": hostile_steps(say)}
        return {"runA": row(**hostile_row(say)), "latency": latency, "comparisons": items} | steps
    against = chance.choice((None, other_side(targetUrl=say())))
    return detail(**hostile_row(say), against=against, **series())


def hostile_domain(say, *, verified=True):
    method = {"verified": verified, "verificationMethod": say(), "verifiedAt": say()}
    return {"id": 1, "domain": say(), "verificationToken": say(), "createdAt": say()} | method


def hostile_source(say):
    texts = {"kind": say(), "rootPath": say(), "lastError": say(), "lastListedAt": say()}
    return {"id": 1, "name": say()} | texts


def hostile_account(say):
    features = {"baselinePins": True, "plans": True, "calibration": True, say(): True}
    return {"features": features, "subscriptionType": say(), "subscriptionStatus": say()}


def hostile_set(say):
    columns = {"macroColumns": [say(), say()], "weightColumn": say()}
    return {"id": 3, "name": say(), "mode": say(), **columns}


OF_PATHS = {
    "profiles": lambda say: [{"id": 1, "name": say(), "createdAt": say()}],
    "account": hostile_account,
    "domains": lambda say: [hostile_domain(say, verified=False), hostile_domain(say)],
    "domains/1/verify/dns": hostile_domain,
    "capture-sources": lambda say: [hostile_source(say)],
    "capture-sources/1/files": lambda say: [{"path": say(), "size": 3, "modifiedAt": say()}],
    "regions": lambda say: [{"regionCode": say(), "displayName": say()}],
    "variables-sets": lambda say: [hostile_set(say)],
    "variables-sets/3": hostile_set,
    "variables-sets/3/mode": hostile_set,
}


def hostile_answer(path, say, chance):
    if path in OF_PATHS:
        return OF_PATHS[path](say)
    if path.endswith("/plan"):
        option = {"name": say(), "rate": 5, "seconds": 60, "isCheapest": True}
        lower = {say(): {"warn": 2.5}, say(): say()}
        return {
            "metric": say(),
            "options": [option],
            "lowerLimits": lower,
            "spread": {"percent": 2},
        }
    if path == "calibration":
        record = {"spread": 0.02, "measured": {say(): 0.02}, "target": say()}
        return {"runnerClass": say(), "calibrations": {say(): record}}
    if path.startswith("history"):
        return hostile_history(path, say, chance)
    if path.endswith("/baseline"):
        return {"historyId": 7, "region": say(), "autoVerdict": say(), "startedAt": say()}
    if path.endswith(("/status", "/stop")):
        steps = hostile_steps(say)
        counts = {say(): 2}
        return status(say(), runId=say(), responseCodeCounts=counts, waitingFor=say(), steps=steps)
    words = {"name": say(), "targetUrl": say(), "httpMethod": say(), "region": say()}
    gate = {"steps": {say(): {"p95": {"fail": 5}}, say(): say()}}
    steps = [{"name": say(), "request": say()}, {"think": [say(), 2]}, {say(): say()}, say()]
    shown = {"status": say(), "interpolationMode": say()}
    slot = {"dayOfWeek": say(), "time": say(), "lastFiredAt": say()}
    schedule = {"mode": say(), "timezone": say(), "notifyEmails": [say()], "slots": [slot]}
    return profile(**words, **shown, steps=steps, gate=gate, schedule=schedule)


@pytest.fixture
def hostile(httpserver):
    """A server whose every text is hostile; `reseed` chooses other texts."""
    chance = random.Random()

    def say():
        return text(chance)

    def answer(request):
        found = hostile_answer(request.path.removeprefix("/api/v1/"), say, chance)
        return Response(json.dumps(found), content_type="application/json")

    httpserver.expect_request(re.compile("/api/v1/.*")).respond_with_handler(answer)
    httpserver.reseed = chance.seed
    return httpserver


@pytest.mark.parametrize(
    "argv",
    [
        *VIEWS,
        *LINES,
        *((*argv, "--json") for argv in VIEWS),
        MARKDOWN,
    ],
)
def test_nothing_that_a_command_shows_is_obeyed(tm, hostile, argv):
    environ = {"TM_BASE_URL": hostile.url_for("/"), "TM_API_KEY": KEY}
    (tm.cwd / "a.yaml").write_text(DOCUMENT)
    for seed in range(ROUNDS):
        hostile.reseed(f"{argv} {seed}")
        result = tm(*argv, environ=environ)
        shown = result.stdout + result.stderr
        found = [*commands(shown), *other_systems(shown), *steering(shown)]
        assert found == [], f"seed {seed}"
        assert "Traceback" not in result.stderr, f"seed {seed}"
        assert result.exit_code in {0, 1, 5, 8}, f"seed {seed}: {result.stderr}"
