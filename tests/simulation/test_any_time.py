"""Whatever time stands wherever in the answers, no command ends with an internal error."""

from __future__ import annotations

import json
import re

import pytest

from tests.services.trafficmorph import KEY, detail, page, profile, row, status
from tests.simulation.unending import RawServer, json_answer
from tm_cli.exit_codes import ExitCode

TIMES = (
    "0001-01-01T00:00:00Z",
    "0001-01-01T00:00:00+14:00",
    "0001-01-01T00:00:00+00:01",
    "9999-12-31T23:59:59.999999Z",
    "9999-12-31T23:59:59-14:00",
    "9999-12-31T23:59:59-23:59",
    "2026-03-01T12:00:01+23:59",
    "2026-03-01T12:00:01+24:00",
    "2026-03-01",
    "12:00:01",
)
"""Some are of the years 0 and 10000 in UTC, which Python cannot hold; some are no times."""


def answer(time):
    def told(request):
        documents = {
            "/history/": detail(),
            "/history?": page(row()),
            "/status": status("IDLE"),
            "/profiles ": [profile()],
        }
        found = [text for part, text in documents.items() if part in f"{request.line} "]
        text = json.dumps(found[0] if found else profile())
        return json_answer(re.sub(r'(?<=")2026-0\d-\d\dT[0-9:]+Z(?=")', time, text).encode())

    return told


@pytest.mark.parametrize(
    "argv",
    [("history", "list"), ("history", "show", "7"), ("profiles", "list"), ("runs", "status", "42")],
    ids=" ".join,
)
@pytest.mark.parametrize("time", TIMES)
def test_an_answer_with_an_odd_time_is_shown(tm, time, argv):
    with RawServer(answer(time)) as server:
        environ = {"TM_BASE_URL": server.url, "TM_API_KEY": KEY}
        outcome = tm(*argv, environ=environ)
        as_json = tm(*argv, "--json", environ=environ)
    assert outcome.exit_code == as_json.exit_code == ExitCode.OK, outcome.stderr


@pytest.mark.parametrize("time", TIMES)
def test_a_job_run_with_an_odd_time_is_shown(tm, time):
    fields = ("created_at", "scheduled_at", "started_at", "finished_at")
    run = {"id": "r", "status": "completed", **dict.fromkeys(fields, time)}
    documents = {"/runs/r ": run, "/runs/r/lineage?": {"data": [run], "has_more": False}}
    with RawServer(
        lambda heard: json_answer(
            json.dumps(
                next(
                    (one for part, one in documents.items() if part in f"{heard.line} "),
                    {"data": []},
                )
            ).encode()
        )
    ) as server:
        environ = {"STRAIT_BASE_URL": server.url, "STRAIT_API_KEY": KEY}
        for argv in (("show", "r"), ("lineage", "r"), ("wait", "r", "--no-stream")):
            outcome = tm("jobs", *argv, environ=environ)
            assert outcome.exit_code == ExitCode.OK, outcome.stderr
