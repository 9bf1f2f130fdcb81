import asyncio

import pytest

from tm_cli.server.workers.agent_protocol import (
    HEARTBEAT,
    KILL,
    Frame,
    agent_name,
    agent_refusal,
    exchange_frames,
    region_refusal,
)

FRAMES = [
    Frame("r", line='{"event": "ready"}'),
    Frame("r", line=""),
    Frame("r", order=KILL),
    Frame("r", over=""),
    Frame("r", over="out of files"),
]


@pytest.mark.parametrize("frame", FRAMES)
def test_frames_arrive_as_they_were_sent(frame):
    assert Frame.decode(frame.encode()) == frame


def test_a_sign_of_life_is_no_frame():
    assert Frame.decode(HEARTBEAT) is None


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "null", "1", "{", '{"run": "r"}', '{"line": "x"}', '{"run": 1, "line": "x"}',
        '{"run": "r", "line": null}', '{"run": "r", "line": "x", "over": ""}',
        '{"run": "r", "what": "x"}', '{"run": "r", "line": {}}',
        r'{"run": "\ud800", "line": "x"}', r'{"run": "r", "over": "\udfff"}',
    ],
)  # fmt: skip
def test_what_is_no_frame_is_refused(text):
    with pytest.raises(ValueError):
        Frame.decode(text)


class Peer:
    """The other end: it sends what it is told to and remembers what it got."""

    def __init__(self, *texts):
        self.texts = asyncio.Queue()
        for text in texts:
            self.texts.put_nowait(text)
        self.got = []

    async def receive(self):
        text = await self.texts.get()
        if isinstance(text, Exception):
            raise text
        return text

    async def send(self, text):
        self.got.append(text)


def conversation(*texts, outgoing=()):
    """What was taken from a peer that sends these texts, what it got, and how it ended."""

    async def scenario():
        peer, taken, queue = Peer(*texts), [], asyncio.Queue()
        for frame in outgoing:
            queue.put_nowait(frame)
        with pytest.raises(ConnectionError) as ended:
            await exchange_frames(
                peer.receive, peer.send, queue, taken.append, beat=0.01, silence_limit=0.1
            )
        return taken, peer.got, str(ended.value)

    return asyncio.run(asyncio.wait_for(scenario(), 5))


def test_frames_are_taken_in_order_until_the_peer_is_gone():
    taken, _, ended = conversation(
        FRAMES[0].encode(), HEARTBEAT, FRAMES[4].encode(), ConnectionError("it was closed")
    )
    assert taken == [FRAMES[0], FRAMES[4]]
    assert ended == "it was closed"


def test_frames_are_sent_in_order_with_signs_of_life_after_them():
    _, got, ended = conversation(outgoing=FRAMES)
    assert got[:5] == [frame.encode() for frame in FRAMES]
    assert set(got[5:]) == {HEARTBEAT}
    assert ended == "no message for 0.1 s"


@pytest.mark.parametrize("steps", range(8))
@pytest.mark.parametrize("comes", ["from the peer", "from an engine"])
def test_an_exchange_can_be_ended_in_the_moment_in_which_a_frame_comes(comes, steps):
    async def scenario():
        peer, queue = Peer(), asyncio.Queue()
        exchange = asyncio.create_task(
            exchange_frames(peer.receive, peer.send, queue, lambda _: None)
        )
        await yield_to_others(10)
        if comes == "from the peer":
            peer.texts.put_nowait(HEARTBEAT)
        else:
            queue.put_nowait(FRAMES[0])
        await yield_to_others(steps)
        exchange.cancel()
        await yield_to_others(10)
        return exchange.cancelled()

    assert asyncio.run(scenario())


async def yield_to_others(times):
    for _ in range(times):
        await asyncio.sleep(0)


def test_a_peer_that_makes_no_sense_is_left():
    assert conversation("hello")[2] == "the peer sent an invalid message"


@pytest.mark.parametrize("name", ["eu-west", "a", "1.2_3", "x" * 30])
def test_names_of_regions(name):
    assert region_refusal(name) is None


@pytest.mark.parametrize("name", ["", "local", "EU", "a b", "ä", "x" * 31, "a/b", "a\n"])
def test_names_that_no_region_can_have(name):
    assert region_refusal(name)


def test_names_of_agents():
    assert agent_refusal("x" * 60) is None
    assert agent_refusal("x" * 61)
    assert agent_refusal("Host")


@pytest.mark.parametrize(
    ("host", "name"),
    [("Build-7.example.test", "build-7"), ("a b", "a-b"), ("", "agent"), ("ö", "agent")],
)
def test_an_agent_is_named_after_its_host(host, name):
    assert agent_name(host) == name
    assert agent_refusal(agent_name(host)) is None
