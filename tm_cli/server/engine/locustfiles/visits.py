"""How a visitor of a locustfile gets to an end: Locust's users and task sets go on for ever."""

import time
from collections.abc import Callable, Iterator
from types import CodeType, FunctionType
from typing import Any

import gevent
from locust import SequentialTaskSet, TaskSet, User
from locust.exception import (
    InterruptTaskSet,
    RescheduleTask,
    RescheduleTaskImmediately,
    StopTest,
    StopUser,
)

from tm_cli.server.engine.played import Played, StepResult
from tm_cli.values.failures import LOCUSTFILE_ERROR

_ENDS = {"interrupt", "InterruptTaskSet", "StopUser"}
"""What a task set says that ends by itself."""

Task = Callable[..., Any] | type[TaskSet]


class JourneyTimeout(BaseException):
    """A visitor has taken too long; no `except Exception` of a file or library catches it."""


class Visit:
    """What one visitor has done so far."""

    def __init__(self) -> None:
        self.steps: list[StepResult] = []
        self.thinking = 0.0
        self._error: str | None = None

    def add(self, step: StepResult) -> None:
        self.steps.append(step)
        if isinstance(step.result, str) or step.result >= 400:
            self.fail(f"{step.name}: {step.result}")

    def fail(self, error: str) -> None:
        """The visitor counts under its first error."""
        if self._error is None:
            self._error = error

    def played(self) -> Played:
        last = self.steps[-1].result if self.steps else 200
        result = last if self._error is None else self._error
        return Played(result, self.thinking, self.steps)


def visitor_class(user: type[User], host: str, on_stop_test: Callable[[], None]) -> type[User]:
    """A class of the file whose users play one of their tasks and end."""
    known: dict[type[TaskSet], type[TaskSet]] = {}
    tasks = [_only(_bounded(task, known), on_stop_test) for task in user.tasks]

    class Visitor(user):  # type: ignore[misc]
        tm_visit: Visit

        def __new__(cls, *_: Any, **__: Any) -> Any:
            visitor = super().__new__(cls)
            visitor.tm_visit = (
                gevent.getcurrent().tm_visit
            )  # a constructor may send requests already
            return visitor

        def on_start(self) -> None:
            try:
                super().on_start()
            except StopTest:  # Locust takes it for the end of this user
                on_stop_test()
                raise

        def context(self) -> dict[str, Any]:
            """Locust hands this to every request event of this user."""
            return {**super().context(), "tm_visit": self.tm_visit}

    Visitor.__name__, Visitor.__qualname__ = user.__name__, user.__qualname__
    Visitor.__module__ = user.__module__
    Visitor.tasks = tasks  # in the body of the class it would be added to the inherited ones
    Visitor.host = host
    return Visitor


def _only(task: Task, on_stop_test: Callable[[], None]) -> Callable[[Any], None]:
    def play(user: Any) -> None:
        try:
            if isinstance(task, type):
                task(user).run()
            else:
                task(user)
        except (InterruptTaskSet, RescheduleTask, RescheduleTaskImmediately, StopUser):
            pass
        except StopTest:
            on_stop_test()
        except Exception as error:
            user.tm_visit.fail(f"{LOCUSTFILE_ERROR} {type(error).__name__}")
            if not isinstance(task, type):  # a task set has told it already
                user.environment.events.user_error.fire(
                    user_instance=user, exception=error, tb=error.__traceback__
                )
        raise StopUser

    return play


def _bounded(task: Task, known: dict[type[TaskSet], type[TaskSet]]) -> Task:
    """A task set that ends: a sequence after its last task, one that interrupts itself when it
    does so, and any other after one task. `known` are those that are done or being done.
    """
    if not (isinstance(task, type) and issubclass(task, TaskSet)):
        return task
    if task in known:
        return known[task]
    most = _most(task)

    class Bounded(task):  # type: ignore[misc, valid-type]
        tm_begun = 0

        def get_next_task(self) -> Any:
            if self.tm_begun == most:
                raise InterruptTaskSet(reschedule=False)
            self.tm_begun += 1
            return super().get_next_task()

        def wait(self) -> None:
            if self.tm_begun != most:  # a visitor that has done everything leaves at once
                super().wait()

    known[task] = Bounded
    Bounded.__name__, Bounded.__qualname__ = task.__name__, task.__qualname__
    Bounded.tasks = [_bounded(inner, known) for inner in Bounded.tasks]
    return Bounded


def _most(task: type[TaskSet]) -> int | None:
    if issubclass(task, SequentialTaskSet):
        return max(1, len(task.tasks))
    return None if _ends_by_itself(task) else 1


def _ends_by_itself(task: type[TaskSet]) -> bool:
    own = [base for base in task.__mro__ if base not in TaskSet.__mro__]
    methods = [value for base in own for value in vars(base).values()]
    return any(
        _ENDS & set(code.co_names)
        for function in [*methods, *task.tasks]
        if isinstance(function, FunctionType)
        for code in _codes(function.__code__)
    )


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def count_think_time() -> None:
    """Have every `wait` of a user or task set add to the think time of its visit."""
    stock = TaskSet.wait

    def wait(self: Any) -> None:
        begun = time.monotonic()
        try:
            stock(self)
        finally:
            self.user.tm_visit.thinking += time.monotonic() - begun

    TaskSet.wait = wait
