"""A worker of a run: takes its job and orders from the master, and reports to it."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import islice
from typing import Any

import gevent
from gevent.event import Event
from locust.exception import RPCError
from locust.rpc import Message

from tm_cli.server.engine.distributed.host_rule import allowed
from tm_cli.server.engine.distributed.outbox import Outbox
from tm_cli.server.engine.distributed.roles import WorkerRole
from tm_cli.server.engine.distributed.runners import (
    CONNECT_TIMEOUT,
    PATIENCE,
    SecureWorker,
    Slot,
    environment,
)
from tm_cli.server.engine.job import MAX_SLOTS, EngineJob, JobError, RunFailed
from tm_cli.server.engine.load_test import LoadTest, allow_connections, check_open_files
from tm_cli.server.engine.protocol import Patience, carry_out
from tm_cli.server.web.bodies import Refusal

_COALESCE = 0.02  # seconds in which lines are collected for one message
_POLL = 0.1
_LEAVING = 0.5  # seconds for the load to end, and again for the last results to arrive

_LOG = logging.getLogger(__name__)


class Worker:
    """Plays one share; ends when the master says so or is silent, or when the input ends."""

    def __init__(self, role: WorkerRole) -> None:
        self._role = role
        self._news = Event()
        self._outbox = Outbox(self._news.set)
        self._patience: Patience | None = None
        self._runner: SecureWorker | None = None
        self._senders = 0
        self._has_senders = Event()
        self._may_serve = Event()
        self._serve: Callable[[], None] = self._may_serve.wait
        self._playing: gevent.Greenlet | None = None
        self._load_test: LoadTest | None = None
        self._is_loading = False
        self._orders: deque[dict[str, Any]] = deque()
        self._is_over = Event()

    def run(self, lines: Iterator[bytes]) -> None:
        """Work to the end; JobError if there is no master."""
        gevent.spawn(self._read_to_end, lines)
        gevent.spawn(self._send_news)
        vital = [gevent.spawn(self._connect), gevent.spawn(self._watch)]
        for greenlet in vital:
            greenlet.link_exception(lambda _: self._is_over.set())
        self._is_over.wait()
        for greenlet in vital:
            if greenlet.exception:
                raise greenlet.exception

    def _read_to_end(self, lines: Iterator[bytes]) -> None:
        try:
            for _ in lines:
                pass
        finally:
            self._is_over.set()

    def _connect(self) -> None:
        Slot.serve = self._serve_slot
        surroundings = environment()
        surroundings.events.report_to_master.add_listener(self._add_lines)
        surroundings.events.heartbeat_received.add_listener(self._hear)
        messages = {"tm_job": self._on_job, "tm_order": self._on_order, "tm_seen": self._on_seen}
        self._runner = SecureWorker(
            surroundings,
            self._role,
            messages,
            most=allow_connections(2 * MAX_SLOTS),
            on_senders=self._on_senders,
            on_quit=lambda finish: gevent.spawn(self._leave, finish),
        )

    def _watch(self) -> None:
        """End everything once the master is silent, by a clock that is never set."""
        deadline = time.monotonic() + CONNECT_TIMEOUT
        while self._patience is None:
            gevent.sleep(_POLL)
            if time.monotonic() > deadline:
                raise JobError(f"the worker had no answer within {CONNECT_TIMEOUT:g} s")
        while self._is_loading or self._patience.lasts(time.monotonic()):
            gevent.sleep(_POLL)
        _LOG.warning("the master was silent for %g s", PATIENCE)
        self._end_load()
        gevent.sleep(_LEAVING)
        self._is_over.set()

    def _hear(self, **_: Any) -> None:
        if self._patience is None:
            self._patience = Patience(PATIENCE, time.monotonic)
        self._patience.heard()

    def _serve_slot(self) -> None:
        self._may_serve.wait()
        self._serve()

    def _on_senders(self, count: int) -> None:
        self._senders = count
        self._has_senders.set()
        if self._load_test:
            self._load_test.set_slots(count)

    def _on_job(self, msg: Message, **_: Any) -> None:
        self._hear()
        if self._playing is None:
            self._playing = gevent.spawn(self._play, msg.data["job"])

    def _on_order(self, msg: Message, **_: Any) -> None:
        self._orders.append(msg.data)
        self._obey()

    def _obey(self) -> None:
        """Carry out the orders, which may come before there is anything to carry them out on."""
        while self._load_test and self._orders:
            order = self._orders.popleft()
            if order.get("command") == "abort":
                self._load_test.abort()
            elif not carry_out(order, self._load_test):
                _LOG.warning("ignored an order that is not known")

    def _on_seen(self, msg: Message, **_: Any) -> None:
        self._outbox.seen(msg.data)

    def _play(self, document: dict[str, Any]) -> None:
        try:
            changes = asyncio.run(allowed(EngineJob.parse(document), self._role))
            self._has_senders.wait()
            job = EngineJob.parse({**document, **changes, "slots": self._senders})
            check_open_files(job)
            self._load_test = self._loaded(job)
            self._obey()
            self._load_test.run()
        except (JobError, Refusal) as error:
            ends_run = isinstance(error, RunFailed)
            self._outbox.write("failed", message=str(error), ends_run=ends_run)
        except Exception as error:
            _LOG.exception("internal error of the engine")
            text = f"internal error of the engine: {type(error).__name__}: {error}"
            self._outbox.write("failed", message=text)

    def _loaded(self, job: EngineJob) -> LoadTest:
        """The load test of a job; the imports of a locustfile may let no heartbeat through."""
        self._is_loading = True
        try:
            return LoadTest(
                job, self._outbox, start_slots=self._start_slots, patience=self._patience
            )
        finally:
            self._is_loading = False
            if self._patience:
                self._patience.restart()

    def _start_slots(self, serve: Callable[[], None], count: int) -> object:
        """Let the senders that Locust has dealt to this worker begin; later ones do so at once."""
        self._serve = serve
        self._may_serve.set()
        return self._runner

    def _send_news(self) -> None:
        """Send each line soon; the reports of Locust repeat what has not arrived."""
        while True:
            self._news.wait()
            gevent.sleep(_COALESCE)
            self._news.clear()
            for message in self._outbox.messages():
                with suppress(RPCError):
                    if self._runner:
                        self._runner.send_message("tm_report", message)

    def _add_lines(self, data: dict[str, Any], **_: Any) -> None:
        data["tm"] = list(islice(self._outbox.messages(), 1))

    def _leave(self, finish: Callable[[], None]) -> None:
        """Let Locust end the runner once the master has the last results."""
        try:
            self._end_load()
            deadline = time.monotonic() + _LEAVING
            while not self._outbox.is_empty and time.monotonic() < deadline:
                gevent.sleep(_COALESCE)
            finish()
        finally:
            self._is_over.set()

    def _end_load(self) -> None:
        if self._load_test:
            self._load_test.abort()
        if self._playing:
            self._playing.join(_LEAVING)
