"""HTTP/2: each request is counted once, and no target can do more than fail its own requests."""

import json
import subprocess
import sys
from typing import Any

import pytest

pytestmark = pytest.mark.process

HOSTILE = {
    "refusing": "Unprocessed",
    "failing": "StreamReset INTERNAL_ERROR",
    "calming": "GoAway ENHANCE_YOUR_CALM",
    "cutting": "HTTPParseError",
    "closing": "HTTPConnectionClosed",
    "silent": "TimeoutError",
    "text": "HTTP2ProtocolError",
    "long-frame": "HTTP2ProtocolError",
    "settings": "TimeoutError",
    "pings": "TimeoutError",
    "interim": "TooManyInterimResponses",
    "large-head": "HTTP2ProtocolError",
    "status-099": "HTTP2ProtocolError",
    "status-2_0": "HTTP2ProtocolError",
    "status-long": "HTTP2ProtocolError",
    "status-text": "HTTP2ProtocolError",
}


def ask(*asked: dict[str, Any]) -> list[dict[str, Any]]:
    probe = subprocess.run(
        [sys.executable, "-m", "tests.unit.server.engine.http2_answers"],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert probe.returncode == 0, probe.stderr
    found: list[dict[str, Any]] = json.loads(probe.stdout)
    return found


def test_hostile_targets_fail_their_own_requests() -> None:
    found = ask(*({"name": name, "timeout": 1.0} for name in HOSTILE))
    results = dict(zip(HOSTILE, (each["results"] for each in found), strict=True))
    assert results == {name: [result] for name, result in HOSTILE.items()}


def test_each_request_is_answered_once() -> None:
    paths = sorted(f"/?id={number}" for number in range(40))
    at_once, few_streams, leaving, found_out, body, early = ask(
        {"name": "lawful", "count": 40},
        {"name": "lawful", "count": 40, "streams": 3},
        {"name": "leaving", "count": 12},
        {"name": "lawful", "count": 40, "http_version": None},
        {"name": "lawful", "method": "POST", "body": "x" * 200_000},
        {"name": "early", "method": "POST", "body": "x" * 200_000, "streams": 1, "rounds": 3},
    )
    for each in (at_once, few_streams, found_out):
        assert (each["results"], each["sent"], each["repeated"]) == (["200"], paths, 0)
        assert each["addresses"]["127.0.0.1"] >= 40
    assert leaving["results"] == ["200"]
    assert leaving["sent"] == sorted(f"/?id={number}" for number in range(12))
    assert body["bodies"] == {"200": len(b"200000 bytes")}
    assert (early["results"], early["sent"]) == (["200"], ["/?id=0"] * 3)
