"""The master of a run: between Locust's master, which knows who is there, and the coordinator,
which knows what each worker has to send.
"""

import logging
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import gevent
from gevent.event import Event
from locust.rpc import Message
from pydantic import AllowInfNan, BaseModel, Field, ValidationError

from tm_cli.server.engine.distributed.aggregate import WholePlan
from tm_cli.server.engine.distributed.coordinator import Coordinator
from tm_cli.server.engine.distributed.outbox import Inbox
from tm_cli.server.engine.distributed.roles import MasterRole
from tm_cli.server.engine.distributed.runners import (
    CONNECT_TIMEOUT,
    SecureMaster,
    dispatcher_class,
    environment,
)
from tm_cli.server.engine.job import MAX_SLOTS, EngineJob
from tm_cli.server.engine.protocol import EventWriter
from tm_cli.server.workers.engine_events import (
    EngineFailed,
    EngineStarted,
    event_fields,
    parse_event,
)
from tm_cli.values.text import sanitize

_LOG = logging.getLogger(__name__)
_TICK = 0.1
_START_TIME = 2.0
"""Seconds more for each worker: all may be on one machine, and start on few cores at once."""
_IMPORT_TIME = 30.0
_WAITING_INTERVAL = 2.0
_ABORT_TIMEOUT = 2.0


class _Command(BaseModel):
    """A line from the server."""

    command: Literal["pause", "resume", "stop", "finish", "gone", "renew"]
    at: Annotated[float, Field(ge=0), AllowInfNan(False)] = 0.0
    worker: str = ""
    reason: str = ""
    values: dict[str, str] = {}


class Master:
    """Leads one run; `events` gets what a single engine would say."""

    def __init__(self, role: MasterRole, events: EventWriter) -> None:
        self._role = role
        self._events = events
        self._labels = role.workers
        self._inboxes = [Inbox() for _ in role.workers]
        self._lost: set[str] = set()
        self._is_dealt = False
        self._has_failed = False
        self._news = Event()
        self._may_deal = Event()
        self._deadline = float("inf")
        self._coordinator = Coordinator(
            role.workers,
            WholePlan(role.job.plan),
            request_timeout=role.job.arrival_timeout,
            now=time.monotonic(),
            extra_time=_START_TIME * len(role.workers) + _extra_time(role.job),
        )
        surroundings = environment(dispatcher_class=dispatcher_class(self._on_missing))
        surroundings.events.worker_report.add_listener(self._on_report)
        surroundings.events.heartbeat_sent.add_listener(self._on_heartbeat)
        self._runner = SecureMaster(surroundings, role.keys, role.workers, self._lose)
        self._runner.register_message("tm_report", self._on_lines)

    def run(self, lines: Iterator[bytes]) -> bool:
        """Lead the run to its end; False if it has failed.

        `lines` are commands, and their end aborts the run.
        """
        self._events.write("listening", port=self._runner.port)
        gevent.spawn(self._obey, lines)
        self._wait_for_workers()
        if not self._coordinator.is_over:
            self._hand_out_jobs()
        gevent.spawn(self._deal_senders)
        while not self._coordinator.is_over and time.monotonic() < self._deadline:
            self._coordinator.tick(time.monotonic())
            self._carry_out()
            self._news.wait(_TICK)
            self._news.clear()
        self._carry_out()
        self._runner.quit()
        return not self._has_failed

    def stop(self) -> None:
        self._coordinator.command("stop")
        self._news.set()

    def _wait_for_workers(self) -> None:
        patience = CONNECT_TIMEOUT + _START_TIME * (len(self._labels) - 1)
        began = said_at = time.monotonic()
        while not self._coordinator.is_over and (missing := self._missing()):
            now = time.monotonic()
            if now > began + patience:
                for label in missing:
                    self._lose(label, f"it did not connect within {patience:g} s")
            elif now > said_at + _WAITING_INTERVAL:
                said_at = now
                reason = f"not connected yet: {len(missing)} of {len(self._labels)} workers"
                self._events.write("waiting", reason=reason)
            self._carry_out()
            self._news.wait(_TICK)
            self._news.clear()

    def _missing(self) -> list[str]:
        known = self._runner.clients
        return [label for label in self._labels if label not in known and label not in self._lost]

    def _hand_out_jobs(self) -> None:
        self._coordinator.connected(time.monotonic())
        job = self._role.job.model_dump(mode="json") | {"hold": True}
        for index, label in enumerate(self._labels):
            if label not in self._lost:
                share = {"index": index, "count": len(self._labels)}
                self._runner.send_message("tm_job", {"job": {**job, "share": share}}, label)
        self._is_dealt = True
        self._may_deal.set()

    def _deal_senders(self) -> None:
        """Have Locust deal the senders out, and again whenever a worker is lost.

        It waits for the workers in there, so this is not the business of its heartbeats.
        """
        while True:
            self._may_deal.wait()
            self._may_deal.clear()
            live = len(self._labels) - len(self._lost)
            if live:
                senders = min(self._role.senders, live * MAX_SLOTS)
                self._runner.start(senders, senders)

    def _carry_out(self) -> None:
        commands, self._coordinator.commands = self._coordinator.commands, []
        if any(command.command == "go" for command in commands):
            self._runner.begin()
        for command in commands:
            label = self._labels[command.worker]
            if command.command == "kill":
                self._drop(label)
            elif self._is_dealt:
                order = {"command": command.command, **command.details}
                self._runner.send_message("tm_order", order, label)
            else:  # it may not be connected yet
                self._coordinator.commands.append(command)
        events, self._coordinator.events = self._coordinator.events, []
        for event in events:
            name, fields = event_fields(event)
            self._has_failed |= isinstance(event, EngineFailed)
            if isinstance(event, EngineStarted):  # the clocks of other hosts may be wrong
                fields["at"] = _now()
            self._events.write(name, **fields)

    def _drop(self, label: str) -> None:
        self._lost.add(label)
        self._runner.drop(label)
        self._events.write("dropped", worker=label)
        if self._is_dealt:
            self._may_deal.set()

    def _lose(self, label: str, reason: str) -> None:
        if label in self._labels:
            worker = self._labels.index(label)
            self._coordinator.on_worker_lost(worker, sanitize(reason), time.monotonic())
            self._news.set()

    def _on_missing(self, label: str) -> None:
        if label not in self._lost:
            self._lose(label, "no heartbeat for 3 s")

    def _on_heartbeat(self, client_id: str, **_: Any) -> None:
        self._coordinator.on_heartbeat(self._labels.index(client_id), time.monotonic())

    def _on_report(self, client_id: str, data: dict[str, Any]) -> None:
        for message in data.get("tm") or ():
            self._take(client_id, message)

    def _on_lines(self, msg: Message, **_: Any) -> None:
        self._take(msg.node_id, msg.data)

    def _take(self, label: str, message: Any) -> None:
        """Hear what a worker says, also a lost one: its results count."""
        try:
            worker = self._labels.index(label)
            for line in self._inboxes[worker].news(message):
                if event := parse_event(line.encode()):
                    self._coordinator.on_event(worker, event, time.monotonic())
            self._runner.send_message("tm_seen", [number for number, _ in message["lines"]], label)
        except (KeyError, TypeError, ValueError) as error:
            self._lose(label, str(error))
        except Exception:  # a bug; the others continue
            _LOG.exception("the events of worker %s could not be processed", label)
            self._lose(label, "its events could not be processed")
        self._news.set()

    def _obey(self, lines: Iterator[bytes]) -> None:
        """Execute commands until the input ends or breaks; then the server is gone, so abort."""
        try:
            for line in lines:
                self._obey_line(line)
                self._news.set()
        finally:
            self._deadline = time.monotonic() + _ABORT_TIMEOUT
            self._coordinator.command("abort")
            self._news.set()

    def _obey_line(self, line: bytes) -> None:
        try:
            self._execute(_Command.model_validate_json(line))
        except ValidationError:
            _LOG.warning("ignored a line that is not a known command")

    def _execute(self, command: _Command) -> None:
        match command.command:
            case "gone":
                self._lose(command.worker, command.reason)
            case "finish":
                self._coordinator.command("finish", at=command.at)
            case "renew":
                self._coordinator.renew(command.values)
            case name:
                self._coordinator.command(name)


def _extra_time(job: EngineJob) -> float:
    """Seconds for imports of a locustfile, the engine of a script, and asking for the target."""
    imports = _IMPORT_TIME if job.locustfile or job.response_script else 0.0
    return imports + (job.probe.wait + 3 * job.timeout if job.probe else 0.0)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
