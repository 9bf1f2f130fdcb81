"""A database of the last release before schedules and variables sets keeps what it holds."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.unit.server.running_server import serving

OLDER = Path(__file__).parent / "older"
ANSWERS = json.loads((OLDER / "version_6_answers.json").read_text(encoding="utf-8"))
"""What the server of that release answered for these paths."""


@pytest.fixture(scope="module")
def upgraded(tmp_path_factory):
    data_dir = tmp_path_factory.mktemp("older") / "data"
    data_dir.mkdir(mode=0o700)
    with closing(sqlite3.connect(data_dir / "tm.db")) as connection:
        connection.executescript((OLDER / "version_6.sql").read_text(encoding="utf-8"))
    (data_dir / "tm.db").chmod(0o600)
    with serving(data_dir) as api:
        yield api.client


def known(answer, before):
    """The part of an answer that has the keys of an older one: a newer server may add some."""
    if isinstance(before, dict):
        return {key: known(answer.get(key), item) for key, item in before.items()}
    if isinstance(before, list) and isinstance(answer, list) and len(answer) == len(before):
        return [known(each, item) for each, item in zip(answer, before, strict=True)]
    return answer


@pytest.mark.parametrize("path", ANSWERS)
def test_answers_are_those_of_the_older_server(upgraded, path):
    answer = upgraded.get("/api/v1" + path)
    assert known(answer.json(), ANSWERS[path]) == ANSWERS[path]


def test_runs_are_found_by_what_they_had_before(upgraded):
    for query in ({"tag": "nightly"}, {"profileId": 1, "region": "local"}, {"triggeredBy": "api"}):
        assert 1 in [
            row["id"] for row in upgraded.get("/api/v1/history", params=query).json()["content"]
        ]
    assert "nightly" in upgraded.get("/api/v1/history/filters").json()["tags"]


def test_run_that_was_under_way_is_interrupted(upgraded):
    newest = upgraded.get("/api/v1/history").json()["content"][0]
    assert (newest["runId"], newest["outcome"]) == ("left-behind", "INTERRUPTED")
    assert newest["autoVerdict"] is None


def test_schedule_is_still_that_of_its_profile(upgraded):
    schedule = upgraded.get("/api/v1/profiles/1").json()["schedule"]
    slots = [(slot["dayOfWeek"], slot["time"]) for slot in schedule["slots"]]
    assert (schedule["mode"], schedule["timezone"]) == ("PERIODIC", "Europe/Berlin")
    assert slots == [(1, "06:30"), (5, "18:00")]
    assert upgraded.get("/api/v1/account").json()["usage"]["scheduledRunCount"] == 2
