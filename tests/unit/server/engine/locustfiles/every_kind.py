# ruff: noqa: RUF012 - as users write it
"""A locustfile with a User class for each way in which visitors come to an end."""

import gevent
from locust import (
    LoadTestShape,
    SequentialTaskSet,
    TaskSet,
    User,
    between,
    constant,
    events,
    tag,
    task,
)
from locust.exception import CatchResponseError, RescheduleTask, StopUser

heard = []


class Shape(LoadTestShape):
    def tick(self):
        return None


@events.init.add_listener
def on_init(environment, **_):
    heard.append(f"init {environment.host}")


@events.init_command_line_parser.add_listener
def on_parser(parser):
    parser.add_argument("--own", default="own default")


@events.test_start.add_listener
def on_start(environment, **_):
    heard.append(f"test_start {environment.parsed_options.host} {environment.parsed_options.own}")


@events.test_stop.add_listener
def on_stop(environment, **_):
    heard.append("test_stop")


def step(visitor, name, *, seconds=0.01, exception=None, context=None):
    user = getattr(visitor, "user", visitor)
    user.environment.events.request.fire(
        request_type="GET",
        name=name,
        response_time=seconds * 1000,
        response_length=0,
        exception=exception,
        context=user.context() if context is None else context,
    )


class Base(User):
    abstract = True
    wait_time = constant(0.02)

    def on_start(self):
        step(self, "start")

    def on_stop(self):
        step(self, "stop")


class OneTask(Base):
    @task
    def visit(self):
        step(self, "task")


class TwoTasks(Base):
    @task(3)
    def one(self):
        step(self, "one")

    @task(1)
    def other(self):
        step(self, "other")


class Ordered(SequentialTaskSet):
    def on_start(self):
        step(self, "enter")

    @task
    def first(self):
        step(self, "first")

    @task(2)
    def second(self):
        step(self, "second")

    def on_stop(self):
        step(self, "leave")


class InOrder(Base):
    tasks = [Ordered]


class Endless(TaskSet):
    @task
    def look(self):
        step(self, "look")


class NeverInterrupts(Base):
    tasks = [Endless]


class Counted(TaskSet):
    turns = 0

    @task
    def look(self):
        step(self, "look")
        self.turns += 1
        if self.turns == 3:
            self.interrupt()


class InterruptsItself(Base):
    tasks = {Counted: 2}


class Outer(SequentialTaskSet):
    tasks = [Ordered, Endless]


class Nested(Base):
    tasks = [Outer]


class Fails(Base):
    @task
    def broken(self):
        step(self, "task")
        raise KeyError("token", "secret-value")


class FailsInTaskSet(Base):
    @task
    class Broken(SequentialTaskSet):
        @task
        def broken(self):
            raise ValueError

        @task
        def never(self):
            step(self, "never")


class FailsOnStart(User):
    def on_start(self):
        raise RuntimeError("no login")

    @task
    def never(self):
        step(self, "never")


class Stops(Base):
    @task
    def leave(self):
        raise StopUser


class StopsOnStart(User):
    def on_start(self):
        raise StopUser

    @task
    def never(self):
        step(self, "never")


class Reschedules(Base):
    @task
    def again(self):
        raise RescheduleTask


class Waits(Base):
    wait_time = constant(0.05)

    @task
    def think(self):
        self.wait()
        gevent.sleep(0.05)
        step(self, "task")


class TakesTooLong(Base):
    @task
    def hang(self):
        try:
            gevent.sleep(30)
        except Exception:
            step(self, "caught")


class SecondError(Base):
    @task
    def two(self):
        step(self, "a", exception=OSError())
        step(self, "b", exception=ValueError())


class InAnotherGreenlet(Base):
    @task
    def spawn(self):
        gevent.joinall([gevent.spawn(step, self, "child")])


class WithoutContext(Base):
    @task
    def plain(self):
        step(self, "task", context={})


class OwnContext(Base):
    def context(self):
        return {"own": True}

    @task
    def plain(self):
        step(self, "task")


class Named(Base):
    @task
    def secret(self):
        step(self, "/login?token=secret-value", exception=CatchResponseError("secret-value bad"))


class Echoes(Base):
    """What it says is cut in the middle of a value."""

    @task
    def secret(self):
        step(self, "echo", exception=CatchResponseError("x" * 72 + "secret-value"))


class Leaves(Base):
    @task
    def leave(self):
        step(self, "leave now")
        step(self, "never")


@events.request.add_listener
def leave_now(name, **_):
    if name == "leave now":
        raise StopUser


class Tagged(Base):
    @tag("keep")
    @task
    def kept(self):
        step(self, "kept")

    @task(99)
    def dropped(self):
        step(self, "dropped")


class Rare(Base):
    weight = 0
    wait_time = between(1, 2)

    @task
    def rare(self):
        step(self, "rare")
