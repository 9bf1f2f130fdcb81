"""Real agents with real engines, some of which are killed while a run goes on."""

import json
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest
from hdrh.histogram import HdrHistogram

from tests.unit.server.running_server import Api, eventually
from tm_cli.server.store.database import Database
from tm_cli.server.store.runs import RunStore

pytestmark = [pytest.mark.process, pytest.mark.skipif(os.name != "posix", reason="kill -9")]

RATE = 90
SECONDS = 10


@pytest.fixture
def start_agent(tmp_path):
    agents = []

    def start(server, name):
        words = ["agent", "--server", server.info.base_url, "--region", "eu-west", "--name", name]
        environ = {**os.environ, "TM_API_KEY": server.key}
        agent = subprocess.Popen(
            [sys.executable, "-m", "tm_cli", *words],
            cwd=tmp_path,
            env=environ,
            stderr=subprocess.DEVNULL,
        )
        agents.append(agent)
        return agent

    yield start
    for agent in agents:
        agent.terminate()
    for agent in agents:
        agent.wait(10)


def engine_of(agent):
    found = subprocess.run(
        ["pgrep", "-P", str(agent.pid)], capture_output=True, text=True, check=True
    )
    return int(found.stdout.split()[0])


def rate_between(target, start, end):
    return sum(start <= moment < end for moment in target.times) / (end - start)


def test_a_lost_workers_share_moves_and_what_it_did_not_send_is_shortfall(
    start_server, start_agent, target
):
    server = start_server(engine_command=None)
    agents = [start_agent(server, f"agent-{number}") for number in (1, 2, 3)]
    with server.client() as client:
        api = Api(client)
        eventually(
            lambda: any(region["connectedCount"] == 3 for region in api.get("/regions").json()),
            patience=20,
        )
        profile_id = api.save(
            httpMethod="GET",
            targetUrl=target.url("/"),
            points=[{"x": 0, "y": RATE}, {"x": SECONDS, "y": RATE}],
            duration=SECONDS,
        )
        run_id = api.start(profile_id, region="eu-west")
        eventually(lambda: target.times, patience=20)
        began = target.times[0]
        eventually(lambda: time.monotonic() > began + 2)
        os.kill(engine_of(agents[1]), signal.SIGKILL)
        eventually(lambda: time.monotonic() > began + 5)
        orphan = engine_of(agents[2])
        agents[2].kill()
        eventually(lambda: not psutil.pid_exists(orphan), patience=4)
        row = eventually(
            lambda: next((row for row in api.rows() if row["runId"] == run_id), None), patience=30
        )
        detail = api.get(f"/history/{row['id']}").json()
    check_told(detail, target)
    check_moved(detail, target, began)
    check_merged(server, run_id, detail)


def check_told(detail, target):
    """What was sent and what was not is told as it was."""
    assert detail["outcome"] == "COMPLETED"
    seen, told = len(target.times), detail["totalRequests"]
    assert 0 <= seen - told <= 2 * RATE  # up to a second or two of what the lost ones had not told
    assert told < RATE * SECONDS
    planned = [point["planned"] for point in json.loads(detail["rpsSeries"])]
    assert planned == [RATE, RATE]


def check_moved(detail, target, began):
    """Noticed within 4 s, moved within 6 s, and never sent later instead."""
    first, second = detail["notes"]
    assert first.startswith("worker eu-west/agent-2 was lost at second ")
    assert "its share moved to 2 others at second" in first
    assert second.startswith("worker eu-west/agent-3 was lost at second ")
    assert "its share moved to 1 other at second" in second
    lost = [float(note.split(" at second ")[1].split()[0]) for note in (first, second)]
    moved = [float(note.rpartition(" ")[2]) for note in (first, second)]
    for killed_at, noticed_at, moved_at in zip((2, 5), lost, moved, strict=True):
        assert killed_at <= noticed_at <= killed_at + 4
        assert noticed_at <= moved_at <= killed_at + 6
    assert abs(rate_between(target, began + 0.2, began + 1.8) - RATE) < RATE * 0.1
    assert abs(rate_between(target, began + moved[1] + 0.3, began + 9.8) - RATE) < RATE * 0.1
    for start in range(SECONDS):
        assert rate_between(target, began + start, began + start + 1) < RATE * 1.15


def check_merged(server, run_id, detail):
    """The quantiles of the run are those of all its histograms together."""
    database = Database.open(server.options.data_dir / "tm.db")
    merged = HdrHistogram(1, 3_600_000_000, 3)
    for bucket in RunStore(database).buckets(run_id):
        merged.decode_and_add(bucket.response)
    database.close()
    assert merged.get_total_count() == detail["totalRequests"]
    quantiles = json.loads(detail["latencyQuantiles"])
    for name, percent in (("p50", 50), ("p99", 99)):
        assert quantiles[name] == round(merged.get_value_at_percentile(percent) / 1000, 3)
