import asyncio
import json

import pytest

from tm_cli.server.workers.agent_protocol import (
    HEARTBEAT,
    TunnelTicket,
    agent_name,
    agent_refusal,
    exchange_messages,
    region_refusal,
)


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
        for message in outgoing:
            queue.put_nowait(message)

        def take(message):
            if message == {"no": "ticket"}:
                raise ValueError("no ticket")
            taken.append(message)

        with pytest.raises(ConnectionError) as ended:
            await exchange_messages(
                peer.receive, peer.send, queue, take, beat=0.01, silence_limit=0.1
            )
        return taken, peer.got, str(ended.value)

    return asyncio.run(asyncio.wait_for(scenario(), 5))


def test_messages_are_taken_in_order_until_the_peer_is_gone():
    taken, _, ended = conversation(
        '{"a": 1}', HEARTBEAT, '{"b": 2}', ConnectionError("it was closed")
    )
    assert taken == [{"a": 1}, {"b": 2}]
    assert ended == "it was closed"


def test_messages_are_sent_in_order_with_signs_of_life_after_them():
    _, got, ended = conversation(outgoing=[{"a": 1}, {"b": "é"}])
    assert [json.loads(text) for text in got[:2]] == [{"a": 1}, {"b": "é"}]
    assert set(got[2:]) == {HEARTBEAT}
    assert ended == "no message for 0.1 s"


@pytest.mark.parametrize("steps", range(8))
@pytest.mark.parametrize("comes", ["from the peer", "for the peer"])
def test_an_exchange_can_be_ended_in_the_moment_in_which_a_message_comes(comes, steps):
    async def scenario():
        peer, queue = Peer(), asyncio.Queue()
        exchange = asyncio.create_task(
            exchange_messages(peer.receive, peer.send, queue, lambda _: None)
        )
        await yield_to_others(10)
        if comes == "from the peer":
            peer.texts.put_nowait(HEARTBEAT)
        else:
            queue.put_nowait({"a": 1})
        await yield_to_others(steps)
        exchange.cancel()
        await yield_to_others(10)
        return exchange.cancelled()

    assert asyncio.run(scenario())


async def yield_to_others(times):
    for _ in range(times):
        await asyncio.sleep(0)


@pytest.mark.parametrize("text", ["hello", "", "{", "[" * 100_000, '{"no": "ticket"}'])
def test_a_peer_that_makes_no_sense_is_left(text):
    assert conversation(text)[2] == "the peer sent an invalid message"


def test_secrets_of_a_ticket_are_not_shown():
    keys = dict.fromkeys(("public", "secret", "master"), "k" * 40) | {"secret": "K" * 40}
    ticket = TunnelTicket(run="r", worker="eu/a", secret="s" * 43, keys=keys)
    assert "K" * 40 not in repr(ticket)
    assert "s" * 43 not in repr(ticket)
    with pytest.raises(ValueError) as refused:
        TunnelTicket.model_validate(ticket.model_dump() | {"run": "a b"})
    assert "K" * 40 not in str(refused.value)
    assert "s" * 43 not in str(refused.value)


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
