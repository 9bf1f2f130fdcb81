"""Locust's users as slots: persistent senders whose number bounds the requests in flight.

Locust spawns and supervises them; its pacing, its HTTP clients and its statistics are not
used, because the arrivals come from the curve.
"""

from collections.abc import Callable

from gevent.event import Event
from locust import User, task
from locust.env import Environment


class Slots:
    """A local Locust runner full of slots, each of which runs `serve`; they live as long as it."""

    def __init__(self, serve: Callable[[], None]) -> None:
        class Slot(User):  # type: ignore[misc]  # locust is untyped here
            @task  # type: ignore[untyped-decorator]
            def serve_without_end(self) -> None:
                serve()

        self._environment = Environment(user_classes=[Slot])
        self._runner = self._environment.create_local_runner()

    def start(self, count: int) -> None:
        """Spawn the slots; returns when all of them run."""
        ready = Event()

        def on_ready(user_count: int) -> None:
            ready.set()

        self._environment.events.spawning_complete.add_listener(on_ready)
        self._runner.start(count, spawn_rate=count)
        ready.wait()
