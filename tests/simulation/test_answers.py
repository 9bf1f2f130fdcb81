"""Answers that the API cannot have sent are refused, whatever they seem to say."""

from __future__ import annotations

import httpx2
import pytest

from tests.simulation.clock import VirtualClock
from tests.simulation.httpx_seam import BASE_URL
from tests.simulation.messages import Reply
from tests.simulation.trafficmorph.bodies import SPOILT
from tm_cli.api.errors import InvalidResponse
from tm_cli.api.transport import Connection, Transport
from tm_cli.values.api_key import ApiKey

GOOD = Reply(200, b'{"runId": "ours", "status": "RUNNING", "autoVerdict": "FAIL"}')
JSON = {"content-type": "application/json"}

UNUSABLE: dict[str, Reply] = {
    **{
        kind: SPOILT[kind](GOOD, 7)
        for kind in (
            "html", "plain-text", "no-type", "html-as-json", "cut-body", "two-documents",
            "not-utf8", "utf16", "nan", "infinite", "long-number", "deep", "repeated-key",
            "repeated-verdict", "compressed",
        )
    },
    **{f"status {code}": Reply(code, GOOD.body, JSON) for code in (203, 206, 207, 299, 304)},
    **{
        f"redirect {code}": Reply(code, GOOD.body, {**JSON, "location": "http://127.0.0.1:9/x"})
        for code in (300, 301, 302, 303, 307, 308)
    },
    "minus infinity": Reply(200, b'{"x": -1e999}', JSON),
    "nothing": Reply(200, b"", JSON),
}  # fmt: skip


class Answering(httpx2.BaseTransport):
    """Gives one answer as it is, and a good one to whoever asks again."""

    def __init__(self, reply: Reply) -> None:
        self._replies = [reply]

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        reply = self._replies.pop() if self._replies else GOOD
        stream = httpx2.ByteStream(reply.body)
        return httpx2.Response(reply.status, headers=dict(reply.headers), stream=stream)


def transport(reply: Reply) -> Transport:
    return Transport(
        Connection(
            base_url=BASE_URL,
            key=ApiKey("tm_k"),
            clock=VirtualClock(),
            environ={},
            transport=Answering(reply),
        )
    )


def accepts(name: str) -> bool:
    """Whether an unusable answer is taken for a usable one."""
    try:
        transport(UNUSABLE[name]).get("api/v1/profiles/42/status")
    except InvalidResponse:
        return False
    return True


@pytest.mark.parametrize("name", UNUSABLE)
def test_unusable_answer_is_not_understood(name):
    assert not accepts(name)


def test_good_answer_is_understood():
    assert transport(GOOD).get("api/v1/profiles/42/status")["runId"] == "ours"
