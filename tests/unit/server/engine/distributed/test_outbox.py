"""What a worker says arrives once, whatever is lost on the way."""

import json

import pytest

from tm_cli.server.engine.distributed.outbox import Inbox, Outbox


class Wire:
    """An outbox, an inbox, and the messages between them, some of which are lost."""

    def __init__(self):
        self.rung = 0
        self.outbox = Outbox(self._ring)
        self.inbox = Inbox()
        self.heard = []

    def _ring(self):
        self.rung += 1

    def say(self, event, **fields):
        self.outbox.write(event, **fields)
        return self

    def send(self, *, arrives=True, acknowledged=True):
        for message in list(self.outbox.messages()):
            if arrives:
                self.heard += [json.loads(line) for line in self.inbox.news(message)]
                if acknowledged:
                    self.outbox.seen([number for number, _ in message["lines"]])
        return self


def test_every_line_arrives_once_and_in_order():
    wire = Wire().say("ready").say("started", at="now").send().say("finished").send().send()
    assert [line["event"] for line in wire.heard] == ["ready", "started", "finished"]
    assert wire.outbox.is_empty
    assert wire.rung == 3


def test_a_line_is_sent_again_until_it_is_acknowledged():
    wire = Wire().say("ready").send(arrives=False).say("started").send(acknowledged=False)
    assert not wire.outbox.is_empty
    wire.say("finished").send()
    assert [line["event"] for line in wire.heard] == ["ready", "started", "finished"]
    assert wire.outbox.is_empty


@pytest.mark.parametrize(
    ("event", "place"),
    [
        ("progress", {}),
        ("bucket", {"index": 3, "side": 1}),
        ("addresses", {"side": 0}),
        ("transfers", {"side": 0}),
        ("steps", {"index": 3, "side": 0, "steps": {"/cart": {}}}),
    ],
)
def test_of_what_is_cumulative_only_the_newest_is_kept(event, place):
    wire = Wire().say(event, n=1, **place).say("paused").say(event, n=2, **place).send()
    assert [(line["event"], line.get("n")) for line in wire.heard] == [("paused", None), (event, 2)]


def test_other_buckets_and_other_steps_are_not_replaced():
    wire = Wire()
    for index, step in ((0, "a"), (0, "b"), (1, "a")):
        wire.say("bucket", index=index, side=0).say("steps", index=index, side=0, steps={step: {}})
    wire.send()
    assert [line["index"] for line in wire.heard if line["event"] == "steps"] == [0, 0, 1]


def test_what_is_large_goes_in_several_messages():
    wire = Wire()
    for index in range(5):
        wire.say("bucket", index=index, side=0, response="x" * 400_000)
    sizes = [len(message["lines"]) for message in wire.outbox.messages()]
    assert sizes == [2, 2, 1]
    wire.send(acknowledged=False).send()
    assert [line["index"] for line in wire.heard] == [0, 1, 2, 3, 4]


def test_the_inbox_of_a_long_run_stays_small():
    wire = Wire()
    for number in range(1000):
        wire.say("progress", elapsed=number).send()
    assert len(wire.inbox._seen) < 5
    assert len(wire.outbox._newest) < 5


@pytest.mark.parametrize("message", [None, {}, {"lines": 1, "oldest": 0}, {"lines": [[1]]}, []])
def test_what_is_no_message_is_told_apart(message):
    with pytest.raises((KeyError, TypeError, ValueError)):
        Inbox().news(message)
