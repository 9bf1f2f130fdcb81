"""A worker on another host: joins a server and runs shares of its load in local engines."""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlencode, urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import (
    ConnectionClosed,
    InvalidHandshake,
    InvalidMessage,
    InvalidStatus,
    InvalidURI,
)

from tm_cli import __version__
from tm_cli.errors import ConfigurationError, TmError
from tm_cli.exit_codes import ExitCode
from tm_cli.runtime.signals import signals_set
from tm_cli.server.engine.job import EngineJob, rate_refusal
from tm_cli.server.targets import TargetRule
from tm_cli.server.web.bodies import Refusal
from tm_cli.server.workers.agent_protocol import (
    HANG_UP,
    KILL,
    MAX_FRAME,
    PATH,
    Frame,
    exchange_frames,
)
from tm_cli.server.workers.local_worker import DEFAULT_COMMAND, EngineProcess
from tm_cli.values.api_key import ApiKey
from tm_cli.values.proxy import choose_proxy
from tm_cli.values.text import sanitize
from tm_cli.values.urls import certificate_name

MAX_RUNS = 4
"""Runs of one connection at the same time; a server does not start more."""
MAX_RATE = 10_000.0
"""Requests per second of a run; a server refuses more."""
MAX_WAITING = 100
"""Frames for a run whose engine is being started."""
MAX_UNSENT = 1000
"""Frames that the server has not read."""
HEARTBEAT = 0.5
WATCHDOG_TIMEOUT = 3.0
"""Seconds of silence after which the engine ends its load, in case this process is frozen."""


async def _send_heartbeats(engine: EngineProcess) -> None:
    while True:
        engine.send("alive")
        await asyncio.sleep(HEARTBEAT)


class RunTask:
    """Checks the target as this host resolves it, then runs the job; `post` sends frames back."""

    def __init__(
        self,
        run_id: str,
        command: Sequence[str],
        targets: TargetRule,
        post: Callable[[Frame], None],
        ca_file: str | None = None,
    ) -> None:
        self._ca_file = ca_file
        self._run_id = run_id
        self._command = command
        self._targets = targets
        self._post = post
        self._engine: EngineProcess | None = None
        self._waiting: list[Frame] = []
        self._is_cancelled = False

    def take(self, frame: Frame) -> None:
        """Pass a line or an order on to the engine; until it has started they are queued."""
        if frame.order:
            self._is_cancelled = True
        if self._engine is None:
            self._waiting = [*self._waiting, frame][-MAX_WAITING:]
        elif frame.line is not None:
            self._engine.write_line(frame.line)
        elif frame.order == HANG_UP:
            self._engine.hang_up()
        elif frame.order == KILL:
            self._engine.kill()

    def kill(self) -> None:
        self.take(Frame(self._run_id, order=KILL))

    async def run(self, first_line: str) -> None:
        """Run the job of the engine's first line to its end."""
        error_text = ""
        try:
            error_text = await self._run(await self._allowed(first_line))
        except (Refusal, OSError, ValueError) as error:
            reason = str(error) if isinstance(error, Refusal) else f"cannot start the run: {error}"
            self._post_failure(sanitize(reason))
        finally:
            self.kill()
            self._post(Frame(self._run_id, over=error_text))

    async def _allowed(self, first_line: str) -> EngineJob:
        """The job, bound to the addresses that this host may load; raises `Refusal`."""
        job = EngineJob.from_line(first_line)
        if refusal := rate_refusal(job, MAX_RATE):
            raise Refusal(refusal)
        changes: dict[str, object] = {
            "addresses": await self._targets.check(job.target_url),
            "ca_file": self._ca_file,
        }
        if job.probe and job.probe.url:
            addresses = await self._targets.check(job.probe.url)
            changes["probe"] = job.probe.model_copy(update={"addresses": addresses})
        if job.against:
            addresses = await self._targets.check(job.against.target_url)
            changes["against"] = job.against.model_copy(update={"addresses": addresses})
        return job.model_copy(update=changes)

    async def _run(self, job: EngineJob) -> str:
        """Forward lines until the engine ends; return its last line on standard error."""
        if self._is_cancelled:
            return ""
        engine = await EngineProcess.start(
            self._command, job.model_copy(update={"watchdog_timeout": WATCHDOG_TIMEOUT}).to_line()
        )
        pulse = asyncio.create_task(_send_heartbeats(engine))
        try:
            self._engine = engine
            waiting, self._waiting = self._waiting, []
            for frame in waiting:
                self.take(frame)
            async for line in engine.lines(patience=None):
                self._post(Frame(self._run_id, line=line.decode("utf-8", "replace")))
        finally:
            pulse.cancel()
            engine.hang_up()
            await engine.close()
        return sanitize(engine.last_error or "")

    def _post_failure(self, message: str) -> None:
        self._post(Frame(self._run_id, line=json.dumps({"event": "failed", "message": message})))


class RunTasks:
    """Starts a task for each run and forwards its frames; `post` sends frames back."""

    def __init__(
        self,
        start: Callable[[str], RunTask],
        post: Callable[[Frame], None],
        log: Callable[[str], None],
    ) -> None:
        self._start = start
        self._post = post
        self._log = log
        self._tasks: dict[str, tuple[RunTask, asyncio.Task[None]]] = {}

    def take(self, frame: Frame) -> None:
        """Handle a frame of the server; the first line of a run is its job."""
        if frame.run in self._tasks:
            self._tasks[frame.run][0].take(frame)
        elif frame.line is not None and len(self._tasks) >= MAX_RUNS:
            self._post(Frame(frame.run, over=f"this agent has {MAX_RUNS} runs already"))
        elif frame.line is not None:
            run_task = self._start(frame.run)
            task = asyncio.create_task(run_task.run(frame.line))
            self._tasks[frame.run] = run_task, task
            task.add_done_callback(lambda done: self._ended(frame.run, done))
            self._log(f"run {sanitize(frame.run)}: started")

    def _ended(self, run_id: str, task: asyncio.Task[None]) -> None:
        del self._tasks[run_id]
        if not task.cancelled() and (bug := task.exception()):
            self._log(f"run {sanitize(run_id)}: internal error: {bug!r}")
        self._log(f"run {sanitize(run_id)}: ended")

    async def leave(self) -> None:
        """End all runs at once, because the server is gone."""
        tasks = [task for _, task in self._tasks.values()]
        for run_task, _ in list(self._tasks.values()):
            run_task.kill()
        await asyncio.gather(*tasks, return_exceptions=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentOptions:
    """`server` is a base URL ending in `/`; `tls` is None for plain http.

    `read_key_again` returns the key as it is now, where a file holds it, and `ca_file` has
    certificates that are trusted for targets in addition to the system's.
    """

    server: str
    key: ApiKey
    region: str
    name: str
    read_key_again: Callable[[], ApiKey] | None = None
    workers: int = 1
    allow_public_targets: bool = False
    tls: ssl.SSLContext | None = None
    ca_file: str | None = None
    engine_command: Sequence[str] = DEFAULT_COMMAND

    @property
    def url(self) -> str:
        query = urlencode({"region": self.region, "name": self.name, "version": __version__})
        scheme, _, rest = self.server.partition("://")
        return f"{'wss' if scheme.lower() == 'https' else 'ws'}://{rest}{PATH}?{query}"

    @property
    def certificate_name(self) -> dict[str, Any]:
        """The name that the certificate must be for, where it is not the one in the URL."""
        host = urlsplit(self.server).hostname or ""
        name = certificate_name(host)
        return {"server_hostname": name} if self.tls and name != host else {}

    @property
    def proxy(self) -> str | None:
        """The address of the proxy that the environment names for this server."""
        chosen = choose_proxy(self.server, os.environ).proxy
        return chosen.address if chosen else None


_STOPS = frozenset({1001, 1012})
"""Codes with which a server that stops or restarts closes its connections."""

_NORMAL = 1000
_INTERNAL_ERROR = 1011
_NUMBER = re.compile(r"\[Errno ([0-9]{1,5})\]")


def why_closed(error: ConnectionClosed) -> str:
    if error.rcvd is None:
        return "connection lost"
    code, reason = error.rcvd.code, sanitize(error.rcvd.reason)
    if code in _STOPS:
        return "the server is stopping or restarting"
    detail = f": {reason}" if reason else ""
    if code == _NORMAL:
        return f"the server closed it{detail}"
    if code == _INTERNAL_ERROR:
        return f"the server ran into an error{detail}"
    return f"the server closed it (code {code}{detail})"


def why_not_opened(error: Exception, *, is_encrypted: bool) -> str:
    match error:
        case ssl.SSLCertVerificationError():
            return f"{sanitize(error.verify_message)} (TM_CA_FILE names certificates to trust)"
        case ssl.SSLError():
            reason = sanitize(getattr(error, "reason", None) or error)
            return f"the TLS handshake failed ({reason}); does the server use plain http?"
        case InvalidMessage() if not is_encrypted:
            return "the response was not HTTP; if the server has a certificate, use https"
        case TimeoutError() if error.errno is None:
            return "timed out"
        case ConnectionRefusedError():
            return "connection refused"
        case socket.gaierror():
            return f"unknown host name ({sanitize(error.strerror)})"
    return _without_numbers(error) or sanitize(error) or type(error).__name__


def _without_numbers(error: Exception) -> str:
    """The system's message for each error number; a host with two addresses has two."""
    numbers = dict.fromkeys(_NUMBER.findall(str(error)))
    return " and ".join(os.strerror(int(number)).lower() for number in numbers)


_OPEN_TIMEOUT = 10.0
_NEXT_ADDRESS = 0.25
"""Seconds after which the next address of the server is tried while one is silent."""
_CLOSE_TIMEOUT = 0.5


class AuthenticationError(TmError):
    """The server rejects the key."""

    exit_code = ExitCode.AUTHENTICATION
    slug = "authentication"


class _Connect(connect):
    """Follows no redirect: it could leak the key to another host."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


class ServerConnection:
    """An open connection; once it is closed, calls raise ConnectionError."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    @classmethod
    async def open(cls, options: AgentOptions) -> ServerConnection:
        """Connect; raises ConnectionError when that may work later, else a TmError."""
        try:
            connection = await _Connect(
                options.url,
                additional_headers={"X-Api-Key": options.key.reveal().decode("latin-1")},
                user_agent_header=f"tm-cli/{__version__}",
                ssl=options.tls,
                proxy=options.proxy,
                compression=None,
                open_timeout=_OPEN_TIMEOUT,
                close_timeout=_CLOSE_TIMEOUT,
                ping_interval=None,  # both ends send heartbeats of their own
                max_size=MAX_FRAME,
                happy_eyeballs_delay=_NEXT_ADDRESS,
                **options.certificate_name,
            )
        except InvalidStatus as error:
            raise _refused(error) from None
        except InvalidURI as error:
            raise ConfigurationError(
                f"cannot connect to {options.server}: {sanitize(error)}"
            ) from None
        except (OSError, TimeoutError, EOFError, InvalidHandshake) as error:
            reason = why_not_opened(error, is_encrypted=options.tls is not None)
            raise ConnectionError(reason) from None
        return cls(connection)

    async def receive(self) -> str:
        try:
            message = await self._connection.recv(decode=True)
        except ConnectionClosed as error:
            raise ConnectionError(why_closed(error)) from None
        return str(message)

    async def send(self, text: str) -> None:
        try:
            await self._connection.send(text)
        except ConnectionClosed as error:
            raise ConnectionError(why_closed(error)) from None

    def abort(self) -> None:
        self._connection.transport.abort()

    async def close(self) -> None:
        """Close without waiting long for a peer that may be dead."""
        try:
            async with asyncio.timeout(2 * _CLOSE_TIMEOUT):
                await self._connection.close()
        except TimeoutError:
            self.abort()


def _refused(error: InvalidStatus) -> Exception:
    status = error.response.status_code
    reason = _reason(error.response.body) or f"status {status}"
    if status in (401, 403):
        return AuthenticationError(
            f"the server refuses the agent: {reason}",
            hint="check TM_API_KEY or --api-key-file",
        )
    if status == 421:
        return ConfigurationError(
            f"the server does not accept that host name: {reason}",
            hint="tm serve --hostname NAME permits a name",
        )
    if status < 500 and status != 429:
        return ConfigurationError(
            f"the server refuses the agent: {reason}",
            hint="only an embedded server (`tm serve`) of the same version accepts agents",
        )
    return ConnectionError(reason)


def _reason(body: bytes | bytearray | None) -> str:
    try:
        return sanitize(json.loads(body or b"")["error"])
    except (ValueError, KeyError, TypeError):
        return ""


def _with_new_key(options: AgentOptions) -> AgentOptions:
    if options.read_key_again is None:
        return options
    with suppress(TmError):  # while a file is replaced it may be missing
        return replace(options, key=options.read_key_again())
    return options


FIRST_PAUSE = 0.5
MAX_PAUSE = 10.0


@dataclass(frozen=True, slots=True)
class Agent:
    """Keeps a connection per worker; `log` gets a line for each connection and run."""

    options: AgentOptions
    log: Callable[[str], None]
    _targets: TargetRule = field(init=False)

    def __post_init__(self) -> None:
        rule = TargetRule(
            allow_public=self.options.allow_public_targets, server=self.options.server
        )
        object.__setattr__(self, "_targets", rule)

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set or a signal comes.

        Raises TmError when the server refuses the agent.
        """
        with signals_set(stop):
            numbers = range(1, self.options.workers + 1)
            workers = [asyncio.create_task(self._keep_connected(number)) for number in numbers]
            stopping = asyncio.create_task(stop.wait())
            try:
                await asyncio.wait([*workers, stopping], return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in (*workers, stopping):
                    task.cancel()
                results = await asyncio.gather(*workers, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception):
                raise result

    async def _keep_connected(self, number: int) -> None:
        pause, options, key_works = FIRST_PAUSE, self.options, False
        who = f"worker {number}: " if self.options.workers > 1 else ""
        while True:
            try:
                link = await ServerConnection.open(options)
                pause, key_works = FIRST_PAUSE, True
                self.log(f"{who}connected to {self.options.server} as {self._title}")
                await self._work(link)
            except AuthenticationError as error:  # the key may be replaced just now
                before, options = options, _with_new_key(options)
                if not key_works and options.key.reveal() == before.key.reveal():
                    raise
                key_works = False
                self.log(f"{who}{error}; trying once more in {pause:g} s")
            except ConnectionError as error:
                self.log(
                    f"{who}no connection to {self.options.server}: {error}; retrying in {pause:g} s"
                )
            await asyncio.sleep(pause)
            pause = min(2 * pause, MAX_PAUSE)

    @property
    def _title(self) -> str:
        return f"{self.options.region}/{self.options.name}"

    async def _work(self, link: ServerConnection) -> None:
        """Execute the server's jobs; raises ConnectionError once it is gone."""
        outgoing: asyncio.Queue[Frame] = asyncio.Queue(MAX_UNSENT)

        def post(frame: Frame) -> None:
            try:
                outgoing.put_nowait(frame)
            except asyncio.QueueFull:
                link.abort()  # the server does not read

        def run_task(run_id: str) -> RunTask:
            command = self.options.engine_command
            return RunTask(run_id, command, self._targets, post, self.options.ca_file)

        tasks = RunTasks(run_task, post, self.log)
        try:
            await exchange_frames(link.receive, link.send, outgoing, tasks.take)
        finally:
            await tasks.leave()
            await link.close()
