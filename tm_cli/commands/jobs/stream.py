"""Prints the stream of a run until the run, not the stream, is over."""

from __future__ import annotations

import json
import queue
import threading
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
from tm_cli.commands.jobs.client import not_found_as_error, open_server
from tm_cli.errors import UsageError, WaitTimeout
from tm_cli.runtime.clock import reads_of_a_wait
from tm_cli.values.durations import format_duration
from tm_cli.values.text import sanitize

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


def listen_to(session: CommandContext, run_id: str, *, part: str | None, limit: float) -> int:
    """Print every message; return OK when the run has ended, whatever its status.

    Raises WaitTimeout when it is still running after `limit` seconds.
    """
    server, clock, inbox = open_server(session), session.context.clock, _Inbox()
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
        has_news = _print(session, inbox.take()) or has_news
    _print(session, inbox.take())
    session.note(f"tm: run {sanitize(run_id)} is {sanitize(run.status)}")
    for text in describe_continuations(server.client, run):
        session.note(f"tm: {text}")
    return 0


def _poll(client: StraitClient, run_id: str) -> JobRun | None:
    """Return the run; None when this poll has shown nothing."""
    try:
        return read_run(client.without_retries(), run_id)
    except ApiError as error:
        if not is_transient(error):
            raise
        return None


def _print(session: CommandContext, messages: list[Message | None]) -> bool:
    """Print messages; return whether they may show a new status."""
    for message in messages:
        if message is not None:
            session.terminal.write_result(_line(message, as_json=session.wants_json))
    return any(message is None or may_change_status(message.data) for message in messages)


def _line(message: Message, *, as_json: bool) -> str:
    content = read_message(message.data)
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
        case {"chunk": chunk}:
            return sanitize(chunk)
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
