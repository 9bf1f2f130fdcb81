"""Server and engine together: the one place where they meet outside the product."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from running_server import Api, eventually


class CountingTarget(ThreadingHTTPServer):
    """Answers 200 and counts."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Answer)
        self.served = 0
        self.lock = threading.Lock()


class _Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        with self.server.lock:
            self.server.served += 1
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def target():
    with CountingTarget() as target:
        thread = threading.Thread(target=target.serve_forever, args=(0.05,))
        thread.start()
        yield target
        target.shutdown()
        thread.join()


def test_a_run_is_paused_resumed_and_stopped_and_every_request_is_counted(start_server, target):
    server = start_server(engine_command=None)
    with server.client() as client:
        api = Api(client)
        profile_id = api.save(
            httpMethod="GET",
            targetUrl=f"http://127.0.0.1:{target.server_port}/",
            points=[{"x": 0, "y": 40}, {"x": 20, "y": 40}],
        )
        run_id = api.start(profile_id)
        eventually(lambda: target.served >= 20, patience=20)
        api.post(f"/profiles/{profile_id}/pause")
        time.sleep(0.3)  # what was on its way arrives
        paused = target.served
        time.sleep(0.5)
        assert target.served == paused
        api.post(f"/profiles/{profile_id}/resume")
        eventually(lambda: target.served >= paused + 10)
        api.post(f"/profiles/{profile_id}/stop")
        row = api.row_of(run_id)
        detail = api.get(f"/history/{row['id']}").json()
    assert (detail["outcome"], detail["autoVerdict"]) == ("STOPPED", None)
    assert detail["totalRequests"] == target.served
    assert json.loads(detail["responseCodes"]) == {"200": target.served}
    assert 0 < json.loads(detail["latencyQuantiles"])["p50"] < 5000
