"""The client of a locustfile: every arrival is a new user, who plays one of its tasks."""

import contextlib
import logging
import random
import ssl
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import gevent
import locust
from locust import FastHttpUser, HttpUser, User, clients
from locust.argument_parser import get_parser
from locust.env import Environment
from locust.exception import CatchResponseError
from locust.runners import LocalRunner
from locust.stats import RequestStats

from tm_cli.server.engine.job import EngineJob, JobError, RequestTarget, RunFailed
from tm_cli.server.engine.locustfiles.loading import load_users, reason
from tm_cli.server.engine.locustfiles.network_rule import TargetRefused, enforce
from tm_cli.server.engine.locustfiles.reference import JobLocustfile
from tm_cli.server.engine.locustfiles.visits import (
    JourneyTimeout,
    Visit,
    count_think_time,
    visitor_class,
)
from tm_cli.server.engine.played import Played, StepResult
from tm_cli.values.failures import CHECK_FAILED, LOCUSTFILE_ERROR, TARGET_REFUSED
from tm_cli.values.load.placeholders import hide_values

_LOG = logging.getLogger(__name__)
_LONGEST_CHECK = 80  # characters of what the file says about a failed check
_LONGEST_EVENT = 45.0  # seconds; after a minute without an event a load generator is given up
_LOGGED = 5  # errors of the file that are written to the log with their traceback
_VISITS_BETWEEN = 500  # after so many, Locust's own statistics are bounded
_MOST_NAMES = 1000  # of requests, and texts of errors, in these
_SECONDS_KEPT = 60  # of their counts by second, of which Locust reads the last twelve


class _Runner(LocalRunner):  # type: ignore[misc]
    """What the file knows as `environment.runner`; it starts no users, and can end the run."""

    on_quit: Callable[[], None] | None = None

    def stop(self) -> None:
        self.quit()

    def quit(self) -> None:
        if self.on_quit is not None:
            self.on_quit()


class Scenario:
    """A locustfile that has been loaded into this process, which plays no other one.

    `on_quit` is called when the file ends the run.
    """

    def __init__(self, job: EngineJob, locustfile: JobLocustfile, on_quit: Callable[[], None]):
        self._file = locustfile
        self._values = locustfile.place.variables if locustfile.place else {}
        self._on_quit = on_quit
        self._is_running = False
        self._ended_by_file = False
        self._logged = 0
        self._visits = 0
        self._requests = 0
        if locustfile.place is not None:
            enforce(locustfile.place)
        logging.getLogger("locust").setLevel(logging.CRITICAL)  # what it logs is a result here
        # before the file's own listeners: one of these may end the visit
        locust.events.request.add_listener(self._on_request)
        self.classes = load_users(locustfile)
        count_think_time()
        try:
            self.environment = self._environment(job)
        except ValueError as error:  # two classes of one name, for instance
            raise JobError(f"the locustfile {locustfile.file} cannot be played: {error}") from None

    def begin(self) -> None:
        """Fire the file's `test_start`; raises RunFailed when that takes too long."""
        self._is_running = True
        self._fire("test_start")

    def end(self) -> None:
        """Fire its `test_stop`; raises RunFailed when the file says that the run is none."""
        self._is_running = False
        self._fire("test_stop")
        self._fire("quitting", reverse=True)
        if self._ended_by_file:
            raise RunFailed(
                f"the locustfile {self._file.file} has ended the run (runner.quit, or StopTest)"
            )
        if code := self.environment.process_exit_code:
            raise RunFailed(
                f"the locustfile {self._file.file} has declared the run a failure: it has set "
                f"environment.process_exit_code to {code}"
            )
        if self._visits and not self._requests:
            raise RunFailed(
                f"no visitor of the locustfile {self._file.file} has sent a request; nothing was "
                "tested"
            )

    def client(self, job: EngineJob, target: RequestTarget) -> "VisitorClient":
        return VisitorClient(job, target, self)

    def count_visit(self) -> None:
        self._visits += 1
        if self._visits % _VISITS_BETWEEN == 0:
            bound(self.environment.stats)

    def quit(self) -> None:
        if self._is_running and not self._ended_by_file:
            self._ended_by_file = True
            self._on_quit()

    def _fire(self, name: str, **how: bool) -> None:
        """Fire an event; none of ours are written until its listeners return."""
        try:
            with gevent.Timeout(_LONGEST_EVENT, JourneyTimeout):
                getattr(self.environment.events, name).fire(environment=self.environment, **how)
        except JourneyTimeout:
            raise RunFailed(
                f"{name} of the locustfile {self._file.file} takes longer than {_LONGEST_EVENT:g} s"
            ) from None

    def _environment(self, job: EngineJob) -> Environment:
        # the file's listeners are those of the module `locust`
        environment = Environment(
            user_classes=self.classes,
            events=locust.events,
            host=base_url(job.targets[0]),
            locustfile=self._file.file,
            tags=list(self._file.tags) or None,
            catch_exceptions=False,
            parsed_options=self._options(base_url(job.targets[0])),
        )
        environment.runner = _Runner(environment)
        environment.runner.on_quit = self.quit
        locust.events.user_error.add_listener(self._on_error)
        locust.events.init.fire(environment=environment, runner=environment.runner, web_ui=None)
        return environment

    def _options(self, host: str) -> Any:
        """What the file's own command-line arguments are where only the host is given."""
        try:
            return get_parser(default_config_files=[]).parse_args(["--host", host])
        except SystemExit:  # it has written what is missing
            raise JobError(
                f"the locustfile {self._file.file} needs arguments of the command line, which "
                "there are none of; give them defaults or an env_var"
            ) from None

    def _on_request(
        self,
        name: str,
        response_time: float | None,
        exception: BaseException | None = None,
        response: Any = None,
        context: dict[str, Any] | None = None,
        **_: Any,
    ) -> None:
        visit = (context or {}).get("tm_visit") or getattr(gevent.getcurrent(), "tm_visit", None)
        if visit is not None:  # else it is a request of `test_start`, for instance
            self._requests += 1
            result = result_of(exception, response, self._values)
            seconds = (response_time or 0.0) / 1000
            visit.add(StepResult(hide_values(str(name), self._values), seconds, result))

    def _on_error(self, exception: BaseException, tb: Any, **_: Any) -> None:
        if self._logged < _LOGGED and self._file.place is not None:
            self._logged += 1
            said = reason(exception, self._file.place)
            begin = _own_part(tb, self._file.place.path)
            told = "".join(traceback.format_exception(type(exception), exception, begin))
            _LOG.warning("%s: %s\n%s", self._file.file, said, hide_values(told, self._values))


def _own_part(tb: Any, path: str) -> Any:
    """The traceback from the file on."""
    found = tb
    while found is not None and found.tb_frame.f_code.co_filename != path:
        found = found.tb_next
    return found or tb


def result_of(
    exception: BaseException | None, response: Any, values: Mapping[str, str]
) -> int | str:
    """The result of a step: what the file says, else the status of its answer.

    What the file calls a success is none of our errors, whatever its status. Nothing shows the
    `values`, which are hidden before a text is cut: the first part of one is no longer found.
    """
    status = getattr(response, "status_code", None)
    status = status if isinstance(status, int) else 0
    if exception is None:
        return status if 100 <= status < 400 else 200
    if isinstance(exception, CatchResponseError):
        return f"{CHECK_FAILED} {hide_values(str(exception), values)[:_LONGEST_CHECK]}"
    if status >= 400:
        return status
    # clients wrap what the system has said, which is what users of other profiles read
    cause = [exception, *(each for each in _causes(exception) if isinstance(each, OSError))][-1]
    if isinstance(cause, TargetRefused):
        return f"{TARGET_REFUSED} {cause.address}"
    return type(cause).__name__


def bound(stats: RequestStats) -> None:
    """Forget what Locust would keep of a long run; its totals, which a file may read, are whole."""
    for kept in (stats.entries, stats.errors):
        if len(kept) > _MOST_NAMES:  # they have numbers in them
            kept.clear()
    for entry in (stats.total, *stats.entries.values()):
        for by_second in (entry.num_reqs_per_sec, entry.num_fail_per_sec):
            for second in list(by_second)[:-_SECONDS_KEPT]:
                del by_second[second]


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


class VisitorClient:
    """Plays arrivals against one target: each has connections and cookies of its own."""

    repeated = 0

    def __init__(self, job: EngineJob, target: RequestTarget, scenario: Scenario) -> None:
        self.requests: dict[str, int] = {}  # connections are the file's business
        self.bodies: Counter[str] = Counter()
        self.error: Exception | None = None
        self._timeout = job.visit_timeout or job.timeout
        self._scenario = scenario
        host = base_url(target)
        self._classes = [visitor_class(user, host, scenario.quit) for user in scenario.classes]
        for visitor in self._classes:
            _trust(visitor, job.ca_file)
        self._weights = [user.weight for user in scenario.classes]

    def send(self, number: int = 0) -> Played:
        visit = Visit()
        self._scenario.count_visit()
        [chosen] = random.choices(self._classes, self._weights)  # noqa: S311
        gevent.getcurrent().tm_visit = visit
        try:
            with gevent.Timeout(self._timeout, JourneyTimeout):
                self._play(chosen)
        except JourneyTimeout:
            visit.fail("JourneyTimeout")
        except Exception as error:  # whatever it is, it is a result
            self.error = error
            visit.fail(f"{LOCUSTFILE_ERROR} {type(error).__name__}")
        return visit.played()

    def connect(self) -> int:
        """There is nothing to connect: visitors have connections of their own."""
        return 0

    def close(self) -> None:
        """Likewise."""

    def _play(self, chosen: type[User]) -> None:
        user = chosen(self._scenario.environment)
        try:
            user.run()
        finally:
            _disconnect(user)


def _disconnect(user: User) -> None:
    """Close a visitor's connections, unless the file has all visitors share them."""
    with contextlib.suppress(Exception):
        if isinstance(user, HttpUser) and user.pool_manager is None:
            user.client.close()
        elif isinstance(user, FastHttpUser) and user.client_pool is None:
            user.client.client.close()


def base_url(target: RequestTarget) -> str:
    """What paths in the file are appended to."""
    scheme = "https" if target.is_tls else "http"
    return f"{scheme}://{target.authority}{target.request_target.partition('?')[0].rstrip('/')}"


def _trust(visitor: type[User], ca_file: str | None) -> None:
    """Have a class trust these certificates, too, where it verifies any."""
    if ca_file is None:
        return
    if issubclass(visitor, HttpUser):
        clients._preloaded_ssl_context.load_verify_locations(ca_file)  # noqa: SLF001
    elif issubclass(visitor, FastHttpUser) and not visitor.insecure:
        own = visitor.ssl_context_factory
        visitor.ssl_context_factory = own or staticmethod(partial(_context, ca_file))


def _context(ca_file: str) -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.load_verify_locations(ca_file)
    return context
