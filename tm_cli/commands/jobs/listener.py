"""Prints the stream of a run until the run, not the stream, is over."""

from __future__ import annotations

import json
import queue
import threading
from typing import Any

from tm_cli.api.errors import ApiError
from tm_cli.api.retry import is_transient
from tm_cli.api.strait.client import Client
from tm_cli.api.strait.event_stream import Message
from tm_cli.backends.strait.results import TERMINAL, is_news, read_message
from tm_cli.cli.session import Session
from tm_cli.commands.jobs.client import not_found_as_error, open_server
from tm_cli.errors import WaitTimeout
from tm_cli.runtime.clock import reads_of_a_wait
from tm_cli.values.durations import format_duration
from tm_cli.values.text import clean

LOOK_EVERY = 15.0
"""Seconds between two looks at a run whose stream is silent: many ends are never announced."""

LEAST_PAUSE = 1.0
"""Seconds between two looks, however much is said."""


class _Inbox:
    """What the listener's thread has heard, for the thread that prints it."""

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


def listen_to(session: Session, run_id: str, *, part: str | None, limit: float) -> int:
    """Print every message; return OK when the run has ended, whatever its status.

    Raises WaitTimeout when it still goes on after `limit` seconds.
    """
    server, clock, inbox = open_server(session), session.context.clock, _Inbox()
    with not_found_as_error(run_id):
        status = server.client.get_run(run_id).status
    deadline = clock.monotonic() + limit
    if status not in TERMINAL:
        server.listener(run_id, inbox.put, part).start()
    looked_at, has_news = clock.monotonic(), False
    while status not in TERMINAL:
        now = clock.monotonic()
        if now >= deadline:
            raise WaitTimeout(
                f"run {clean(run_id)} was still going after {format_duration(limit)}",
                hint="raise --wait-timeout",
            )
        due = looked_at + (LEAST_PAUSE if has_news else LOOK_EVERY)
        if now < due:
            clock.wait(inbox.arrived, min(due, deadline) - now)
        else:
            with reads_of_a_wait(deadline, clock):
                status = _look(server.client, run_id) or status
            looked_at, has_news = clock.monotonic(), False
        has_news = _print(session, inbox.take()) or has_news
    _print(session, inbox.take())
    session.note(f"tm: run {clean(run_id)} is {clean(status)}")
    return 0


def _look(client: Client, run_id: str) -> str | None:
    """Return the status; None when this look has shown nothing."""
    try:
        return client.without_retries().get_run(run_id).status
    except ApiError as error:
        if not is_transient(error):
            raise
        return None


def _print(session: Session, messages: list[Message | None]) -> bool:
    """Print what was heard; return whether it makes a look worth while."""
    for message in messages:
        if message is not None:
            session.terminal.result(_line(message, as_json=session.wants_json))
    return any(message is None or is_news(message.data) for message in messages)


def _line(message: Message, *, as_json: bool) -> str:
    content = read_message(message.data)
    if as_json:
        shown: dict[str, Any] = {"event": message.name, "data": content, "text": None}
        if content is None:
            shown["text"] = message.data
        return json.dumps(shown, ensure_ascii=True).replace("#", "\\u0023")
    return _said(content) if content is not None else f"unreadable: {clean(message.data)}"


def _said(content: dict[str, Any]) -> str:
    """A message as a line for people."""
    match content:
        case {"type": "status_change", "to": to}:
            reason = f": {clean(content['error'])}" if content.get("error") else ""
            return f"status {clean(content.get('from', '?'))} -> {clean(to)}{reason}"
        case {"chunk": chunk}:
            return clean(chunk)
        case {"data": {"percent": percent}}:
            return f"{clean(percent)} % {clean(content.get('message', ''))}".rstrip()
        case {"message": message}:
            return f"{clean(content.get('level', 'info'))} {clean(message)}"
        case {"status": status}:
            return f"status {clean(status)}"
        case {"error": error}:
            return f"the stream says: {clean(error)}"
    return clean(json.dumps(content, ensure_ascii=False))
