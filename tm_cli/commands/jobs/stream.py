"""Prints the stream of a run until the run, not the stream, is over."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from tm_cli.api.errors import ApiError
from tm_cli.api.event_stream import Message
from tm_cli.api.retry import is_transient
from tm_cli.api.strait import JobRun, StraitClient
from tm_cli.backends.strait.results import TERMINAL, may_change_status, read_message
from tm_cli.backends.strait.runs import describe_continuations, read_run
from tm_cli.cli import options
from tm_cli.cli.app import App
from tm_cli.cli.session import CommandContext, with_session
from tm_cli.commands.jobs import options as job_options
from tm_cli.commands.jobs.client import JobServer, not_found_as_error, open_server
from tm_cli.errors import UsageError, WaitTimeout
from tm_cli.runtime.clock import reads_of_a_wait
from tm_cli.values.api_key import ApiKey, hide
from tm_cli.values.durations import format_duration
from tm_cli.values.text import TextInPieces, sanitize

POLL_INTERVAL = 15.0
"""Seconds between two polls of a run whose stream is silent: many ends are never announced."""

LEAST_PAUSE = 1.0
"""Least seconds between two polls, however many messages there are."""


class _Inbox:
    """Messages of the listener's thread, for the thread that prints them."""

    def __init__(self) -> None:
        self.arrived = threading.Event()
        self._messages: queue.SimpleQueue[Message | None] = queue.SimpleQueue()

    def put(self, message: Message | None) -> None:
        self._messages.put(message)
        self.arrived.set()

    def take(self) -> list[Message | None]:
        self.arrived.clear()
        found = []
        while not self._messages.empty():
            found.append(self._messages.get())
        return found


class _Output:
    """Prints messages, each on a line of its own, and the text of chunks as it comes.

    An end of the text that the key could begin with waits for the next piece: together they could
    be the key.
    """

    def __init__(self, session: CommandContext, key: ApiKey) -> None:
        self._session = session
        self._key = key.reveal().decode(errors="replace")
        self._text = TextInPieces()
        self._waiting = ""
        self._stream_id: Any = None

    def print(self, messages: Sequence[Message | None]) -> bool:
        """Print messages; return whether they may show a new status."""
        for message in messages:
            if message is not None:
                self._print(message)
        return any(message is None or may_change_status(message.data) for message in messages)

    def end_line(self) -> None:
        """End the line of a text that has not done so itself."""
        if not self._text.is_at_line_start:
            self._write("\n")
        self._session.terminal.write_part(self._waiting)
        self._waiting = ""

    def _print(self, message: Message) -> None:
        content = read_message(message.data)
        chunk = None if self._session.wants_json else (content or {}).get("chunk")
        if content is None or not isinstance(chunk, str):
            self.end_line()
            line = _line(message, content, as_json=self._session.wants_json)
            self._session.terminal.write_result(hide(line, self._key))
            return
        if content.get("stream_id") != self._stream_id:
            self.end_line()
            self._stream_id = content.get("stream_id")
        self._write(chunk)
        if content.get("done") is True:
            self.end_line()

    def _write(self, text: str) -> None:
        shown = hide(self._waiting + self._text.add(text), self._key)
        starts = (self._key[:length] for length in range(len(self._key) - 1, 0, -1))
        self._waiting = next((start for start in starts if shown.endswith(start)), "")
        self._session.terminal.write_part(shown.removesuffix(self._waiting))


def listen_to(session: CommandContext, run_id: str, *, part: str | None, limit: float) -> int:
    """Print every message; return OK when the run has ended, whatever its status.

    Raises WaitTimeout when it is still running after `limit` seconds.
    """
    server = open_server(session)
    output = _Output(session, server.connection.key)
    try:
        run = _print_until_over(server, run_id, part, limit, output)
    finally:
        output.end_line()
    session.note(f"tm: run {sanitize(run_id)} is {sanitize(run.status)}")
    for text in describe_continuations(server.client, run):
        session.note(f"tm: {text}")
    return 0


def _print_until_over(
    server: JobServer, run_id: str, part: str | None, limit: float, output: _Output
) -> JobRun:
    """Return the run when it has ended."""
    clock, inbox = server.session.context.clock, _Inbox()
    with not_found_as_error(run_id):
        run = read_run(server.client, run_id)
    deadline = clock.monotonic() + limit
    if run.status not in TERMINAL:
        server.listener(run_id, inbox.put, part).start()
    polled_at, has_news = clock.monotonic(), False
    while run.status not in TERMINAL:
        now = clock.monotonic()
        if now >= deadline:
            raise WaitTimeout(
                f"timed out after {format_duration(limit)}; "
                f"run {sanitize(run_id)} is still running",
                hint="raise --wait-timeout",
            )
        due = polled_at + (LEAST_PAUSE if has_news else POLL_INTERVAL)
        if now < due:
            clock.wait(inbox.arrived, min(due, deadline) - now)
        else:
            with reads_of_a_wait(deadline, clock):
                run = _poll(server.client, run_id) or run
            polled_at, has_news = clock.monotonic(), False
        has_news = output.print(inbox.take()) or has_news
    output.print(inbox.take())
    return run


def _poll(client: StraitClient, run_id: str) -> JobRun | None:
    """Return the run; None when this poll has shown nothing."""
    try:
        return read_run(client.without_retries(), run_id)
    except ApiError as error:
        if not is_transient(error):
            raise
        return None


def _line(message: Message, content: dict[str, Any] | None, *, as_json: bool) -> str:
    if as_json:
        shown: dict[str, Any] = {"event": message.name, "data": content, "text": None}
        if content is None:
            shown["text"] = message.data
        return json.dumps(shown, ensure_ascii=True).replace("#", "\\u0023")
    return _describe(content) if content is not None else f"unreadable: {sanitize(message.data)}"


def _describe(content: dict[str, Any]) -> str:
    """A message as a line for people."""
    match content:
        case {"type": "status_change", "to": to}:
            reason = f": {sanitize(content['error'])}" if content.get("error") else ""
            return f"status {sanitize(content.get('from', '?'))} -> {sanitize(to)}{reason}"
        case {"data": {"percent": percent}}:
            return f"{sanitize(percent)} % {sanitize(content.get('message', ''))}".rstrip()
        case {"message": message}:
            return f"{sanitize(content.get('level', 'info'))} {sanitize(message)}"
        case {"status": status}:
            return f"status {sanitize(status)}"
        case {"error": error}:
            return f"the stream says: {sanitize(error)}"
    return sanitize(json.dumps(content, ensure_ascii=False))


app = App()


@app.command("stream")
@with_session
def stream(
    session: CommandContext,
    run: job_options.RunId,
    chunks: Annotated[
        bool, typer.Option("--chunks", help="Print the text that the job streams.")
    ] = False,
    logs: Annotated[
        bool, typer.Option("--logs", help="Print the log of the run's worker.")
    ] = False,
    wait_timeout: options.WaitTimeout = None,
) -> int:
    """Print a run's messages until it has finished; with --json, one JSON object per line.

    tm jobs stream 0192f0a4-7c1d-7e55-b1a6-2f6f0f9d3c11 --chunks
    """
    if chunks and logs:
        raise UsageError("--chunks and --logs exclude each other")
    job_options.check_run_id(run)
    limit: float = session.setting("wait_timeout", wait_timeout)

    part = "chunks" if chunks else "logs" if logs else None
    return listen_to(session, run, part=part, limit=limit)
