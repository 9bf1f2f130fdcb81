"""One run of the engine from its first request to its last.

Locust's users are the slots: persistent senders whose number bounds the requests in flight. Locust
spawns and supervises them; its pacing is not used, because the arrivals come from the curve, and
its HTTP clients and statistics are used by locustfiles alone.
"""

import gc
import math
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial

import gevent
from gevent.event import Event
from locust import User, task
from locust.env import Environment

from tm_cli.server.engine.clients import Client, client_for, scenario_for
from tm_cli.server.engine.dispatcher import AHEAD, Dispatcher, RunClock
from tm_cli.server.engine.http1.client import TargetClient
from tm_cli.server.engine.job import EngineJob, JobError
from tm_cli.server.engine.journeys.client import OnResponse
from tm_cli.server.engine.protocol import Events, Patience
from tm_cli.server.engine.readiness import wait_until_ready
from tm_cli.server.engine.recorder import EngineReport, OpenBucket, Recorder
from tm_cli.server.engine.saturation import CpuPressure
from tm_cli.server.engine.schedule import Share
from tm_cli.server.engine.scripts.response_script import ResponseScript
from tm_cli.server.engine.sender import Sender, SlotQueue

StartSlots = Callable[[Callable[[], None], int], object]
"""Has so many slots run a function that never returns; they live as long as what it returns."""


def start_local_slots(serve: Callable[[], None], count: int) -> object:
    """A local Locust runner full of slots; returns when all of them run."""

    class Slot(User):  # type: ignore[misc]  # locust is untyped here
        @task  # type: ignore[untyped-decorator]
        def serve_without_end(self) -> None:
            serve()

    environment = Environment(user_classes=[Slot])
    runner = environment.create_local_runner()
    ready = Event()

    def on_ready(user_count: int) -> None:
        ready.set()

    environment.events.spawning_complete.add_listener(on_ready)
    runner.start(count, spawn_rate=count)
    ready.wait()
    return runner


_SPARE = 64  # descriptors in addition to the connections


def allow_connections(wanted: int) -> int:
    """Raise this process's limit of open files for so many connections; return how many it allows.

    Those are fewer if the system's hard limit is lower.
    """
    if sys.platform == "win32":
        return wanted
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = wanted + _SPARE
    if hard != resource.RLIM_INFINITY:
        files = min(files, hard)
    if soft != resource.RLIM_INFINITY and soft < files:
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))
    return files - _SPARE


def check_open_files(job: EngineJob) -> None:
    """Raise JobError if the system allows fewer open files than a job may need."""
    possible = allow_connections(job.connections)
    if possible < job.connections:
        raise JobError(
            f"the limit of open files allows {possible} connections, not {job.connections}"
        )


_LEAD = 0.05  # seconds between "started" and curve second 0
_REPORT_INTERVAL = 1.0
_STOP_DRAIN = 3.0  # the longest wait for responses once stopped
_SCRIPT_DRAIN = 3.0  # the longest wait for calls of the response script, and what they ask for
_GRACE = 0.5  # for the timeouts of the last requests to strike
_POLL_INTERVAL = 0.01


class LoadTest:
    """Sends the job's requests when they are due, and writes what happens.

    Once built, everything is ready: call `run` at once, and once. `go`, `share`, `finish`, `pause`,
    `resume`, `stop` and `abort` come from other greenlets. Nothing is sent once `patience`
    is over.
    """

    def __init__(
        self,
        job: EngineJob,
        events: Events,
        *,
        start_slots: StartSlots = start_local_slots,
        patience: Patience | None = None,
    ) -> None:
        self._job = job
        self._events = events
        self._plan = job.plan
        self._recorder = Recorder(self._plan)
        self._scenario = scenario_for(job, self.stop)
        self._clock = RunClock(time.monotonic)
        self._script = ResponseScript(job, self._clock.elapsed) if job.response_script else None
        self._clients = [
            client_for(job, target, self._scenario, self._for_script(side))
            for side, target in enumerate(job.targets)
        ]
        self._sender = Sender(
            [SlotQueue() for _ in self._plan.sides],
            [client.send for client in self._clients],
            self._recorder,
            monotonic=time.monotonic,
            patience=job.timeout,
        )
        self._slots = start_slots(self._sender.serve, job.slots)
        self._patience = patience
        self._may_begin = Event()
        self._may_go_on = Event()
        self._stopped = Event()
        self._drain_deadline = math.inf  # when to wait for responses no longer
        gc.collect()
        gc.freeze()  # what exists by now stays; going through it again would hold up requests
        self._report = EngineReport(
            job,
            self._plan,
            self._recorder,
            monotonic=time.monotonic,
            cpu_time=time.process_time,
            pressure=CpuPressure(time.monotonic),
        )
        self._dispatcher = Dispatcher(
            self._plan,
            self._clock,
            self._recorder.claim,
            self._hand_over if patience else self._sender.hand_over,
            monotonic=time.monotonic,
            sleep=gevent.sleep,
            while_paused=self._may_go_on.wait,
        )

    def run(self) -> None:
        """Run to the end of the curve or to a stop, wait for the last responses, sum up."""
        wait_until_ready(self._job, self._events, self._stopped)
        if self._script:
            self._script.open()
        self._begin_scenario()
        self._begin()
        reporting = gevent.spawn(self._report_regularly)
        is_complete = self._dispatcher.run()
        self._clock.stop()
        self._drain(patience=self._job.timeout if is_complete else 0.0)
        reporting.kill()
        if reporting.exception:
            raise reporting.exception
        elapsed = self._dispatcher.end if is_complete else self._clock.elapsed()
        self._report_results(elapsed, at_the_end=True)
        self._report_targets()
        if self._script:
            self._script.close(_SCRIPT_DRAIN if is_complete else 0.0)
            self._events.write("scripts", **self._script.counts())
            if note := self._script.note():
                self._events.write("note", text=note)
        if self._scenario:
            self._scenario.end()
        if note := self._report.note():
            self._events.write("note", text=note)
        outcome = "completed" if is_complete else "stopped"
        self._events.write("finished", **self._report.finished(outcome, elapsed))

    def _for_script(self, side: int) -> OnResponse | None:
        return partial(self._script.take, side) if self._script else None

    def go(self) -> None:
        self._may_begin.set()

    def share(self, share: Share, second: float) -> None:
        """Change the share from this second of the curve on."""
        self._plan.change(share, second)
        self._recorder.replan()

    def finish(self, second: float) -> None:
        """End the curve at this second, or soon: what was due before counts as usual."""
        second = max(second, self._clock.elapsed() + 2 * AHEAD)
        self._plan.finish(second)
        self._recorder.finish(second)
        self._dispatcher.finish(second)

    def renew(self, values: dict[str, str]) -> None:
        """Send later requests with these values of the job's tokens."""
        self._job.variables.renew(values)

    def pause(self) -> None:
        """Hold the curve; requests already due or under way continue."""
        self._may_go_on.clear()
        self._clock.pause()
        self._events.write("paused", elapsed=round(self._clock.elapsed(), 3))

    def resume(self) -> None:
        self._clock.resume()
        self._may_go_on.set()
        self._events.write("resumed", elapsed=round(self._clock.elapsed(), 3))

    def stop(self) -> None:
        """End the run early; responses under way get a few seconds."""
        self._drain_deadline = min(self._drain_deadline, time.monotonic() + _STOP_DRAIN)
        self._dispatcher.stop()
        self._stopped.set()
        self._may_begin.set()
        self._may_go_on.set()

    def abort(self) -> None:
        self.stop()
        self._drain_deadline = time.monotonic()

    def set_slots(self, count: int) -> None:
        """There are more slots than before."""
        self._report.slots = count

    def _hand_over(self, bucket: OpenBucket, due: float, now: float, number: int) -> None:
        """After a freeze, send nothing of what was missed: it may be others' by now."""
        if self._patience is None or self._patience.lasts(now):
            self._sender.hand_over(bucket, due, now, number)
        else:
            self.abort()

    def _begin_scenario(self) -> None:
        if self._scenario is None:
            return
        telling = gevent.spawn(self._tell_of_test_start)
        try:
            self._scenario.begin()
        finally:
            telling.kill()

    def _tell_of_test_start(self) -> None:
        """Repeated, because a server gives up what is silent."""
        while True:
            gevent.sleep(_REPORT_INTERVAL)
            self._events.write("waiting", reason="test_start of the locustfile takes its time")

    def _begin(self) -> None:
        if self._job.hold:
            self._events.write("ready")
            self._may_begin.wait()
        if self._stopped.is_set():
            return
        self._report.begin()
        self._clock.start(_LEAD)
        self._events.write("started", at=_instant(datetime.now(UTC) + timedelta(seconds=_LEAD)))

    def _drain(self, patience: float) -> None:
        """Let queued requests begin within `patience` seconds, and those under way end."""
        self._wait_until_idle(patience)
        self._sender.give_up_waiting()
        self._wait_until_idle(self._job.arrival_timeout + _GRACE)

    def _wait_until_idle(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not self._sender.is_idle and time.monotonic() < min(deadline, self._drain_deadline):
            gevent.sleep(_POLL_INTERVAL)

    def _report_regularly(self) -> None:
        while True:
            gevent.sleep(_REPORT_INTERVAL)
            elapsed = self._clock.elapsed()
            self._events.write(
                "progress", **self._report.progress(elapsed, is_paused=self._clock.is_paused)
            )
            self._report_results(elapsed)
            self._report_targets()
            if self._script:
                self._events.write("scripts", **self._script.counts())

    def _report_targets(self) -> None:
        for side, client in enumerate(self._clients):
            if requests := client.requests:
                self._events.write("addresses", side=side, requests=requests)
            transfers = {"bodies": dict(client.bodies), "repeated": client.repeated}
            self._events.write("transfers", side=side, **transfers, **_protocol(client))

    def _report_results(self, elapsed: float, *, at_the_end: bool = False) -> None:
        for event, fields in self._report.results(elapsed, at_the_end=at_the_end):
            self._events.write(event, **fields)
            gevent.sleep(0)  # encoding takes a millisecond or two; let due requests pass


def _protocol(client: Client) -> dict[str, str]:
    """Said where it is not the usual one."""
    is_http2 = isinstance(client, TargetClient) and client.is_http2
    return {"protocol": "HTTP/2"} if is_http2 else {}


def _instant(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
