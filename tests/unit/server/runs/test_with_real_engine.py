"""Server and engine together: the one place where they meet outside the product."""

import json
import math
import re
import time
from collections import Counter

import pytest

from tests.unit.server.running_server import Api, eventually

pytestmark = pytest.mark.process


def test_a_run_is_paused_resumed_and_stopped_and_every_request_is_counted(start_server, target):
    server = start_server(engine_command=None)
    with server.client() as client:
        api = Api(client)
        profile_id = api.save(
            httpMethod="GET",
            targetUrl=target.url("/"),
            points=[{"x": 0, "y": 40}, {"x": 20, "y": 40}],
        )
        run_id = api.start(profile_id)
        eventually(lambda: target.served.total() >= 20, patience=20)
        api.post(f"/profiles/{profile_id}/pause")
        time.sleep(0.3)  # what was on its way arrives
        paused = target.served.total()
        time.sleep(0.5)
        assert target.served.total() == paused
        api.post(f"/profiles/{profile_id}/resume")
        eventually(lambda: target.served.total() >= paused + 10)
        api.post(f"/profiles/{profile_id}/stop")
        row = api.row_of(run_id)
        detail = api.get(f"/history/{row['id']}").json()
    assert (detail["outcome"], detail["autoVerdict"]) == ("STOPPED", None)
    assert detail["totalRequests"] == target.served.total()
    assert json.loads(detail["responseCodes"]) == {"200": target.served.total()}
    assert (detail["bodies"], detail["repeated"]) == ({"200": 0}, 0)
    assert 0 < json.loads(detail["latencyQuantiles"])["p50"] < 5000


def test_variables_sets_are_sampled_by_their_modes_also_through_a_pause(start_server, target):
    """Weights 5 and 1 give 5/6 and 1/6, within four standard deviations."""
    texts = {
        "users": ("ROW", "user,city,weight\nann,Rome,5\nbob,Oslo,1\n"),
        "orders": ("SEQUENTIAL", "order\n" + "".join(f"{n}\n" for n in range(50))),
    }
    server = start_server(engine_command=None)
    with server.client() as client:
        api = Api(client)
        ids = [
            api.post("/variables-sets", json={"name": name, "mode": mode, "csvContent": csv}).json()
            for name, (mode, csv) in texts.items()
        ]
        profile_id = api.save(
            httpMethod="GET",
            targetUrl=target.url("/$$user$$/$$city$$?order=$$order$$"),
            points=[{"x": 0, "y": 300}, {"x": 20, "y": 300}],
            variablesSetIds=[each["id"] for each in ids],
        )
        run_id = api.start(profile_id)
        eventually(lambda: target.served.total() >= 200, patience=20)
        api.post(f"/profiles/{profile_id}/pause")
        api.post(f"/profiles/{profile_id}/resume")
        eventually(lambda: target.served.total() >= 600, patience=20)
        api.post(f"/profiles/{profile_id}/stop")
        api.row_of(run_id)
    taken, orders = Counter(), Counter()
    for path, count in target.served.items():
        user, city, order = re.fullmatch(r"/(\w+)/(\w+)\?order=(\d+)", path).groups()
        taken[user, city] += count
        orders[int(order)] += count
    total = taken.total()
    deviation = math.sqrt(total * 5 / 36)
    assert taken.keys() == {("ann", "Rome"), ("bob", "Oslo")}
    assert taken["ann", "Rome"] == pytest.approx(total * 5 / 6, abs=4 * deviation)
    assert max(orders.values()) - min(orders[n] for n in range(50)) <= 1


def test_a_run_without_a_target_is_aborted_and_says_why(start_server):
    server = start_server(engine_command=None)
    with server.client() as client:
        api = Api(client)
        profile_id = api.save(targetUrl="http://127.0.0.1:9/", httpMethod="GET")
        row = api.row_of(api.start(profile_id))
    assert (row["outcome"], row["autoVerdict"], row["totalRequests"]) == ("ABORTED", None, 0)
    assert "the target 127.0.0.1:9 cannot be reached: nothing listens" in str(
        row["autoVerdictReasons"]
    )
