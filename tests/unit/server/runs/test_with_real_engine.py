"""Server and engine together: the one place where they meet outside the product."""

import json
import time

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
