"""How `tm jobs` reaches its server: client, budgets, streams."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from tm_cli.api.errors import ApiError, HttpError
from tm_cli.api.event_stream import Listener, Message, OnMessage
from tm_cli.api.retry import RequestBudget
from tm_cli.api.strait import JobDefinition, StraitClient, as_job, read_strait_error, stream_path
from tm_cli.api.transport import Connection
from tm_cli.backends.strait.results import may_change_status
from tm_cli.backends.strait.runs import Listen
from tm_cli.backends.strait.trigger import may_have_started
from tm_cli.cli.connections import for_a_stop, open_transport
from tm_cli.cli.session import CommandContext
from tm_cli.commands.jobs.options import check_run_id
from tm_cli.errors import Refused, StartUnknown, TmError, UsageError
from tm_cli.runtime.clock import Clock
from tm_cli.settings import STRAIT
from tm_cli.values.sliding_window import SlidingWindow
from tm_cli.values.text import sanitize

PER_MINUTE = 50
"""Requests: the smallest plan has 60, an address 100; streams need some in addition."""

TRIGGERS = 9
TRIGGER_WINDOW = 61.0
"""Triggers in so many seconds: one below the 10 a minute that the server takes from an address."""

MOST_STREAMS = 8
"""Runs that are listened to at once; more are only looked at, to spare the budget."""


@dataclass(frozen=True)
class JobServer:
    """The configured server, as one command uses it."""

    session: CommandContext
    connection: Connection
    client: StraitClient
    triggers: RequestBudget

    @property
    def address(self) -> str:
        return self.connection.base_url

    def stop_client(self) -> StraitClient:
        return _client(self.session, for_a_stop(self.connection))

    def listener(self, run_id: str, on_message: OnMessage, part: str | None = None) -> Listener:
        """Return a listener to the stream of a run, closed when the command ends."""
        connection = replace(self.connection, budget=None)  # it is not shared by threads
        transport = open_transport(self.session, connection)
        listener = Listener(transport, stream_path(run_id, part), on_message)
        self.session.keep_open(listener.close)
        return listener

    def listen(self, *, runs: int) -> Listen | None:
        """Return the subscription to run events; None for too many runs."""
        return None if runs > MOST_STREAMS else self._listen

    def _listen(self, run_id: str, wake: Callable[[], None]) -> None:
        def on_message(message: Message | None) -> None:
            if message is None or may_change_status(message.data):
                wake()

        self.listener(run_id, on_message).start()


def open_server(session: CommandContext, project: str | None = None) -> JobServer:
    """Return the server that the settings name; sends nothing. `project` is a flag's."""
    connection = replace(
        session.connect_to(STRAIT),
        explain=read_strait_error,
        accepts_empty=True,
        budget=RequestBudget(session.context.clock, PER_MINUTE),
    )
    triggers = trigger_budget(session.context.clock)
    return JobServer(session, connection, _client(session, connection, project), triggers)


def trigger_budget(clock: Clock) -> RequestBudget:
    """Return the budget of all triggers of a command."""
    window = SlidingWindow(TRIGGERS, clock.monotonic, seconds=TRIGGER_WINDOW, evenly=True)
    return RequestBudget(clock, window=window)


def open_client(session: CommandContext, project: str | None = None) -> StraitClient:
    return open_server(session, project).client


def _client(
    session: CommandContext, connection: Connection, project: str | None = None
) -> StraitClient:
    transport = open_transport(session, connection)
    client = StraitClient(transport, session.context.clock).pausing_at_most(session.longest_pause)
    return client.in_project(session.setting("strait_project", project))


@contextmanager
def client_for_run(
    session: CommandContext, run_id: str, *, only_run: bool = True
) -> Iterator[StraitClient]:
    """Return a client for requests about one run, and an error that names the run for a 404.

    Raises UsageError, before anything is sent, for what cannot be the id of a run.
    """
    check_run_id(run_id)
    client = open_client(session)
    with not_found_as_error(run_id, only_run=only_run):
        yield client


@contextmanager
def not_found_as_error(run_id: str, *, only_run: bool = True) -> Iterator[None]:
    """Turn the API's 404 into an error that says what is missing.

    Where not `only_run` can be missing, such as a checkpoint, the server's words decide.
    """
    try:
        yield
    except HttpError as error:
        if error.status != 404 or not error.from_api:
            raise
        if not only_run and not _RUN_NOT_FOUND.match(error.message):
            raise
        raise TmError(
            f"run {sanitize(run_id)} was not found: {error.message}",
            hint="`tm jobs list` shows the runs of the key's project and environment",
            code="unknown_run",
        ) from None


@contextmanager
def start_unknown_if_lost() -> Iterator[None]:
    """Turn an error that leaves open whether there are new runs into StartUnknown."""
    try:
        yield
    except ApiError as error:
        if not may_have_started(error):
            raise
        raise StartUnknown(
            f"there may or may not be new runs: {error.message}",
            hint="look with `tm jobs list`; tm does not repeat this",
        ) from None


_RUN_NOT_FOUND = re.compile(r"(run )?not found( \(|$)", re.IGNORECASE)
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


@dataclass(frozen=True, slots=True)
class JobRef:
    """The job that an argument names.

    `may_merge` says that a trigger may be answered with a run that is there already, and `window`
    names why the server may not say which run a trigger belongs to.
    """

    job_id: str
    name: str
    may_merge: bool = True
    window: str | None = None


def find_job(client: StraitClient, text: str) -> JobRef:
    """Return the job that `text` means; raises Refused when the server has none.

    A trigger takes ids only, so that a slug is looked up first. A key that may trigger but not read
    jobs can still use an id.
    """
    if not text.strip():
        raise UsageError("JOB is empty")
    if _UUID.fullmatch(text):
        return _by_id(client, text) or _by_slug(client, text) or _refuse(text)
    return _by_slug(client, text) or _by_id(client, text) or _refuse(text)


def _by_slug(client: StraitClient, text: str) -> JobRef | None:
    for item in client.list_jobs(slug=text).data:
        job = as_job(item)
        if job.slug == text:  # a server that overlooks the filter sends them all
            return _as_ref(job)
    return None


def _by_id(client: StraitClient, text: str) -> JobRef | None:
    try:
        job = client.get_job(text)
    except HttpError as error:
        if error.status == 403 and _UUID.fullmatch(text):
            return JobRef(text, f"job {text}")
        if error.status == 404 and error.from_api:
            return None
        raise
    return _as_ref(job) if job.id == text else None


def _as_ref(job: JobDefinition) -> JobRef:
    window = "debounce" if job.debounce_window_secs else "batch" if job.batch_window_secs else None
    return JobRef(
        job.id,
        sanitize(job.slug or job.name or job.id),
        may_merge=bool(job.dedup_window_secs),
        window=window,
    )


def _refuse(text: str) -> JobRef:
    raise Refused(
        f"the server has no job {sanitize(text)!r}",
        hint="`tm jobs definitions list` shows the jobs of the key's project and environment",
        code="unknown_job",
    )
