"""What commands show of a server's texts obeys nobody: not the terminal, not a CI runner."""

from __future__ import annotations

import json
import random
import re

import pytest
from werkzeug.wrappers import Response

from faults.github_runner import commands, other_systems, steering
from faults.hostile import text
from trafficmorph_api import KEY, detail, page, profile, row, status

ROUNDS = 60
VIEWS = (
    ("profiles", "list"),
    ("profiles", "show", "42"),
    ("history", "list"),
    ("history", "show", "7"),
    ("runs", "status", "42"),
    ("runs", "stop", "42"),
    ("profiles", "export", "42"),
)


@pytest.fixture
def hostile(httpserver):
    """A server whose every text is hostile; `reseed` chooses other texts."""
    chance = random.Random()

    def say():
        return text(chance)

    def document(request):
        path = request.path.removeprefix("/api/v1/")
        words = {"name": say(), "targetUrl": say(), "httpMethod": say(), "region": say()}
        rows = {"profileName": say(), "runId": say(), "autoVerdict": say(), "region": say()}
        rows |= {"autoVerdictReasons": json.dumps([say(), {say(): say()}]), "tags": [say()]}
        rows |= {"responseCodes": json.dumps({say(): 3}), "outcome": say()}
        rows |= {"latencyQuantiles": json.dumps({say(): 3.0})}
        if path == "profiles":
            return [{"id": 1, "name": say(), "createdAt": say()}]
        if path == "history":
            return page(row(**rows))
        if path.startswith("history/"):
            return detail(**rows)
        if path.endswith(("/status", "/stop")):
            return status(say(), runId=say(), responseCodeCounts={say(): 2})
        return profile(**words, status=say(), interpolationMode=say())

    def answer(request):
        return Response(json.dumps(document(request)), content_type="application/json")

    httpserver.expect_request(re.compile("/api/v1/.*")).respond_with_handler(answer)
    httpserver.reseed = chance.seed
    return httpserver


@pytest.mark.parametrize("argv", VIEWS, ids=" ".join)
@pytest.mark.parametrize("json_flag", [(), ("--json",)], ids=["text", "json"])
def test_nothing_that_a_command_shows_is_obeyed(tm, hostile, argv, json_flag):
    environ = {"TM_BASE_URL": hostile.url_for("/"), "TM_API_KEY": KEY}
    for seed in range(ROUNDS):
        hostile.reseed(f"{argv} {seed}")
        result = tm(*argv, *json_flag, environ=environ)
        shown = result.stdout + result.stderr
        found = [*commands(shown), *other_systems(shown), *steering(shown)]
        assert found == [], f"seed {seed}"
        assert "Traceback" not in result.stderr, f"seed {seed}"
        assert result.exit_code in {0, 1}, f"seed {seed}: {result.stderr}"
