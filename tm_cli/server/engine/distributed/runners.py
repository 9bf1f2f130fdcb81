"""Locust's master and worker with encryption, intervals of our own, and a few repairs."""

import argparse
import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from locust import User, runners, task
from locust.dispatch import UsersDispatcher
from locust.env import Environment
from locust.rpc import Message
from locust.runners import MasterRunner, WorkerRunner
from locust.stats import RequestStats

from tm_cli.server.engine.distributed.roles import MasterKeys, WorkerRole
from tm_cli.server.engine.distributed.sockets import CurveClient, CurveServer, in_place_of
from tm_cli.server.engine.job import MAX_SLOTS

_LOG = logging.getLogger(__name__)

LOOPBACK = "127.0.0.1"
CONNECT_TIMEOUT = 30.0
"""Seconds in which a worker has to reach its master."""
PATIENCE = 3.0
"""Seconds without a heartbeat of the master after which a worker sends nothing any more."""

SETTINGS = {
    "HEARTBEAT_INTERVAL": 0.5,
    "HEARTBEAT_LIVENESS": 5,  # missed ones; noticed after 3.0 to 3.5 s
    "MASTER_HEARTBEAT_TIMEOUT": 60,  # by the wall clock, which may be set: the patience is ours
    "WORKER_REPORT_INTERVAL": 0.5,
    "WORKER_LOG_REPORT_INTERVAL": -1,
    "CONNECT_TIMEOUT": 2 * CONNECT_TIMEOUT,  # no second registration
}
"""Names of Locust's module of runners, which reads them on every turn."""

_STARTING = 120
"""Missed heartbeats of a worker without load yet: the imports of a locustfile let none through."""

Lost = Callable[[str, str], None]
"""Label and reason of a worker that does not take part any more."""


class Slot(User):  # type: ignore[misc]  # locust is untyped here
    """One of Locust's users, which sends requests from its start to the end of the run."""

    serve: Callable[[], None]

    @task  # type: ignore[untyped-decorator]
    def serve_without_end(self) -> None:
        Slot.serve()


def environment(**details: Any) -> Environment:
    """What a runner needs; Locust's own statistics stay empty."""
    made = Environment(user_classes=[Slot], **details)
    made.stats = RequestStats(use_response_times_cache=False)
    # without any, Locust would read files and variables of its own
    made.parsed_options = argparse.Namespace(web_base_path="", enable_rebalancing=False)
    return made


class SecureMaster(MasterRunner):  # type: ignore[misc]  # locust is untyped here
    """Locust's master on a free port of loopback; only `labels` may register, and each once."""

    def __init__(
        self, environment: Environment, keys: MasterKeys, labels: list[str], on_lost: Lost
    ) -> None:
        vars(runners).update(SETTINGS, HEARTBEAT_LIVENESS=_STARTING)
        self._expected = set(labels)
        self._on_lost = on_lost
        with in_place_of("Server", partial(CurveServer, keys, self._unreachable)):
            super().__init__(environment, LOOPBACK, 0)

    @property
    def port(self) -> int:
        return int(self.server.port)

    def begin(self) -> None:
        """Have missing workers noticed as soon as the load needs it."""
        runners.HEARTBEAT_LIVENESS = SETTINGS["HEARTBEAT_LIVENESS"]
        for node in self.clients.values():
            node.heartbeat = runners.HEARTBEAT_LIVENESS

    def reset_connection(self) -> None:
        """Keep the socket: ZeroMQ takes every worker back by itself, and Locust's own way would
        come back unencrypted.
        """
        self.connection_broken = False

    def handle_message(self, client_id: str, msg: Message) -> None:
        if msg.node_id != client_id:
            self._on_lost(client_id, "it sent a message in the name of another worker")
        elif msg.type == "client_ready" and not self._registers(client_id):
            self.send_message("quit", client_id=client_id)
        else:
            self._handle(client_id, msg)

    def _registers(self, label: str) -> bool:
        is_expected = label in self._expected
        self._expected.discard(label)
        return is_expected

    def _handle(self, client_id: str, msg: Message) -> None:
        try:
            super().handle_message(client_id, msg)
        except Exception as error:  # the others must still be heard
            _LOG.exception("a message of worker %s could not be processed", client_id)
            self._on_lost(client_id, f"its message could not be processed: {error!r}")

    def drop(self, label: str) -> None:
        """Let a worker go for good.

        Locust would take one back that is heard again, with its old share, which others send now.
        """
        self._expected.discard(label)
        if node := self.clients.pop(label, None):
            self.send_message("quit", client_id=label)
            if self._users_dispatcher is not None:
                self._users_dispatcher.remove_worker(node)

    def _unreachable(self, label: str) -> None:
        self._on_lost(label, "it cannot be reached any more")


def dispatcher_class(on_missing: Callable[[str], None]) -> type:
    """Locust's dispatcher of senders, which is the first to hear that a worker is missing."""

    class SenderDispatcher(UsersDispatcher):  # type: ignore[misc]  # locust is untyped here
        def remove_worker(self, worker_node: Any) -> None:
            super().remove_worker(worker_node)
            on_missing(worker_node.id)

    return SenderDispatcher


class SecureWorker(WorkerRunner):  # type: ignore[misc]  # locust is untyped here
    """Locust's worker; its constructor waits until the master has answered.

    `messages` are the functions for each kind of message of our own, `on_senders` gets the number
    of senders whenever it has changed, and `on_quit` a function that ends the runner.
    """

    def __init__(
        self,
        environment: Environment,
        role: WorkerRole,
        messages: dict[str, Callable[..., None]],
        *,
        most: int,
        on_senders: Callable[[int], None],
        on_quit: Callable[[Callable[[], None]], None],
    ) -> None:
        vars(runners).update(SETTINGS)
        self._name = role.name
        self._messages = messages
        self._most = min(most, MAX_SLOTS)
        self._on_senders = on_senders
        self._on_quit = on_quit
        with in_place_of("Client", partial(CurveClient, role.keys, role.name)):
            super().__init__(environment, role.host, role.port)

    def connect_to_master(self) -> None:
        self.client_id = self._name
        for name, function in self._messages.items():  # before the first message can come
            self.register_message(name, function)
        super().connect_to_master()

    def reset_connection(self) -> None:
        """Keep the socket: ZeroMQ connects again by itself. Locust's own way comes back
        unencrypted, and its reader of the closed socket never yields.
        """

    def start_worker(self, user_classes_count: dict[str, int], **kwargs: Any) -> None:
        """Never fewer senders, which would cut requests off, nor more than there are open files."""
        wanted = {
            name: min(max(count, self.user_count), self._most)
            for name, count in user_classes_count.items()
        }
        super().start_worker(wanted, **kwargs)

    def spawning_complete(self, user_count: int) -> None:
        super().spawning_complete(user_count)
        self._on_senders(user_count)

    def handle_message(self, msg: Message) -> None:
        if msg.type == "quit":
            self._on_quit(partial(super().handle_message, msg))
        else:
            super().handle_message(msg)
