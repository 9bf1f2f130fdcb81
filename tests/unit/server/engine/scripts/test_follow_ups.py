"""Which requests of a response script are sent: those to the target's own origin, within limits."""

import pytest

from tm_cli.server.engine.job import EngineJob
from tm_cli.server.engine.scripts.follow_ups import FollowUps

TARGET = "http://shop.test:81/a/b?q=1"


@pytest.fixture
def follow_ups():
    job = {"run_id": "r", "target_url": TARGET, "points": [(0, 1)], "duration": 10}
    against = {"target_url": "http://other.test/a"}
    return FollowUps(EngineJob.parse({**job, "against": against, "response_script": "x"}))


@pytest.mark.parametrize(
    ("item", "sent"),
    [
        ("/next", ("GET", "/next", 0.0)),
        ({"url": "c"}, ("GET", "/a/c", 0.0)),
        ({"url": "?p=2#part", "method": "post"}, ("POST", "/a/b?p=2", 0.0)),
        ({"url": "http://shop.test:81/x", "method": None, "delayMs": 1500}, ("GET", "/x", 1.5)),
        ({"url": "/a b", "delayMs": 0.5}, None),
        ({"url": "http://shop.test/x"}, None),
        ({"url": "https://shop.test:81/x"}, None),
        ({"url": "//evil.test:81/x"}, None),
        ({"url": "http://shop.test:81@evil.test/x"}, None),
        ({"url": "http://other.test/a"}, None),
        ({"url": "file:///etc/passwd"}, None),
        ({"url": "/x", "method": "CONNECT"}, None),
        ({"url": "/x", "method": "GET /y"}, None),
        ({"url": "/x", "delayMs": -1}, None),
        ({"url": "/x", "delayMs": 60001}, None),
        ({"url": "/x", "delayMs": "soon"}, None),
        ({"url": "/" + "x" * 2048}, None),
        ({"method": "GET"}, None),
        (None, None),
        (7, None),
    ],
)
def test_what_a_script_may_ask_for(follow_ups, item, sent):
    found = follow_ups._read(0, item)
    assert (found and (found[0], found[1].request_target, found[2])) == sent


def test_relative_urls_of_the_second_target_lead_to_it(follow_ups):
    assert follow_ups._read(1, "/x")[1].host == "other.test"
    assert follow_ups._read(1, "http://shop.test:81/x") is None


@pytest.mark.parametrize("value", [None, True, 7, "text", {"url": "/x"}])
def test_only_a_list_asks_for_requests(follow_ups, value):
    follow_ups.take(0, value, {})
    assert follow_ups.counts()["refused"] == 0
    assert follow_ups.is_idle


def test_further_requests_of_one_response_are_refused_and_counted(follow_ups):
    follow_ups.take(0, [None] * 7, {})
    assert follow_ups.counts()["refused"] == 7
