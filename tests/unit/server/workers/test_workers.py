"""Several engines behind the face of one; the engines say what the test has them say."""

import asyncio
from collections import deque
from datetime import UTC, datetime

import pytest

from tm_cli.runtime.clock import SystemClock
from tm_cli.server.engine.job import EngineJob
from tm_cli.server.engine.saturation import Flags
from tm_cli.server.engine.schedule import Share
from tm_cli.server.workers.engine_events import (
    EngineBucket,
    EngineFailed,
    EngineFinished,
    EngineReady,
    EngineStarted,
    RunNote,
)
from tm_cli.server.workers.worker_group import WorkerGroup, WorkerSpec

pytestmark = pytest.mark.process

JOB = EngineJob(
    run_id="r",
    target_url="http://127.0.0.1:1/",
    points=[(0, 20), (10, 20)],
    duration=10.0,
    interpolation="LINEAR",
)
LONG_AGO = datetime(2001, 1, 1, tzinfo=UTC)


class ScriptedEngine:
    """Says its lines; what comes after `go` waits for it. An exception among them is raised."""

    def __init__(self, *lines, error_text=None):
        self.script = deque(lines)
        self.last_error = error_text
        self.job = None
        self.sent = []
        self.ended = []
        self._may_go = asyncio.Event()

    async def start(self, job):
        self.job = job
        return self

    def send(self, command, **details):
        self.sent.append((command, details) if details else command)
        if command == "go":
            self._may_go.set()

    async def events(self, *, patience):
        for line in self.script:
            if line == "go":
                await self._may_go.wait()
            elif line == "forever":
                await asyncio.Event().wait()
            elif isinstance(line, Exception):
                raise line
            else:
                yield line
                await asyncio.sleep(0)

    async def close(self):
        return 0

    def hang_up(self):
        self.ended.append("hung up")

    def kill(self):
        self.ended.append("killed")


class Missing:
    async def start(self, job):
        raise OSError("no such file")


def played(*engines):
    """What a group of these engines says."""

    async def scenario():
        workers = [WorkerSpec(f"w{number}", engine.start) for number, engine in enumerate(engines)]
        group = await WorkerGroup.start(workers, JOB, SystemClock())
        async with asyncio.timeout(5):
            events = [event async for event in group.events(patience=60)]
            await group.close()
        return events

    return asyncio.run(scenario())


def of(kind, events):
    return [event for event in events if isinstance(event, kind)]


def end(sent):
    return EngineFinished(True, 10.0, sent, sent, sent, 0, Flags())


def whole(*lines):
    return EngineReady(), "go", EngineStarted(LONG_AGO), *lines


def bucket(sent):
    return EngineBucket(0, sent, sent, sent, codes={"200": sent})


def test_each_engine_gets_its_share_and_is_held():
    engines = [ScriptedEngine(*whole(end(100))) for _ in range(2)]
    played(*engines)
    assert [engine.job.share for engine in engines] == [Share(0, 2), Share(1, 2)]
    assert all(engine.job.hold for engine in engines)
    assert [engine.sent for engine in engines] == [["go"], ["go"]]


def test_they_say_together_what_one_would_say_alone():
    events = played(*(ScriptedEngine(*whole(bucket(60), end(100))) for _ in range(2)))
    (started,) = of(EngineStarted, events)
    assert started.at > LONG_AGO  # by the clock of this machine
    assert [found.sent for found in of(EngineBucket, events)] == [120]
    (finished,) = of(EngineFinished, events)
    assert events[-1] == finished
    assert (finished.planned, finished.sent, finished.shortfall) == (200, 200, 0)


def test_an_engine_that_cannot_be_started_is_left_out():
    alone = ScriptedEngine(*whole(end(200)))
    events = played(Missing(), alone)
    (note,) = of(RunNote, events)
    assert "w0 did not take part: its load generator could not be started: no such" in note.text
    assert alone.sent == [("share", {"index": 0, "count": 1, "from": 0.0}), "go"]
    assert of(EngineFinished, events)[0].completed_curve


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ([], "out of files"),
        ([ValueError("a line\x1b[31m without sense")], "a line [31m without sense"),
        ([TimeoutError()], "no message for 60 s"),
        ([EngineFailed("broke")], "broke"),
    ],
    ids=["ended", "senseless", "silent", "failed"],
)
def test_an_engine_is_lost_with_a_reason_and_its_share_moves(lines, reason):
    other = ScriptedEngine(*whole("forever"))
    lost = ScriptedEngine(*whole(*lines), error_text="out of files")

    async def scenario():
        workers = [WorkerSpec("a", other.start), WorkerSpec("b", lost.start)]
        group = await WorkerGroup.start(workers, JOB, SystemClock())
        async for event in group.events(patience=60):
            if isinstance(event, RunNote):
                await group.close()
                return event.text
        return ""

    text = asyncio.run(asyncio.wait_for(scenario(), 5))
    assert reason in text
    assert "moved to 1 other" in text
    assert lost.ended == ["killed"]
    assert other.sent[0] == "go"
    assert other.sent[1][0] == "share"


def test_without_any_engine_the_run_fails():
    (note, other, failed) = played(Missing(), Missing())
    assert isinstance(note, RunNote)
    assert isinstance(other, RunNote)
    assert isinstance(failed, EngineFailed)
    assert failed.message.startswith("no worker took part: its load generator could not")


def test_commands_for_the_group_reach_every_worker():
    engines = [ScriptedEngine(*whole("forever")) for _ in range(2)]

    async def scenario():
        workers = [WorkerSpec(str(number), one.start) for number, one in enumerate(engines)]
        group = await WorkerGroup.start(workers, JOB, SystemClock())
        async for event in group.events(patience=60):
            if isinstance(event, EngineStarted):
                break
        group.send("pause")
        group.hang_up()
        group.kill()
        await group.close()

    asyncio.run(asyncio.wait_for(scenario(), 5))
    assert [engine.sent for engine in engines] == [["go", "pause"]] * 2
    assert [engine.ended for engine in engines] == [["hung up", "killed"]] * 2
