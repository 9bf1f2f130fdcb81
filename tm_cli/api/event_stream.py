"""Background listener for server-sent events, with reconnect. Events only trigger a poll.

A stream does not end with its run and leaves out much of what happens to it, so it never decides.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import httpx2

from tm_cli.api.errors import ApiError, HttpError
from tm_cli.api.transport import Transport

SILENCE = 45.0
"""Seconds after which a stream without even a keep-alive counts as dead."""

GONE = 410
"""The answer for a run that is over."""

FINAL_STATUSES = frozenset({400, 401, 403, 404, 405, 406})
"""Answers of the API that no repetition changes; a proxy's page with such a status can pass."""

FIRST_PAUSE = 1.0
LONGEST_PAUSE = 30.0
JOIN_TIMEOUT = 1.0


@dataclass(frozen=True, slots=True)
class Message:
    """One server-sent event: its name and what it carries, which need not be JSON."""

    name: str
    data: str


OnMessage = Callable[[Message | None], None]
"""Takes each message, and None when the stream was opened, was cut, or is given up.

It is called from the listener's own thread.
"""


class Listener:
    """Reads one stream of `transport` from `start` to `close`."""

    def __init__(self, transport: Transport, path: str, on_message: OnMessage) -> None:
        self._transport = transport
        self._path = path
        self._on_message = on_message
        self._closing = threading.Event()
        self._response: httpx2.Response | None = None
        self._thread = threading.Thread(target=self._run, name="tm-stream", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Hang up; no message comes afterwards."""
        self._closing.set()
        if self._response is not None:
            _hang_up(self._response)
        if self._thread.ident is not None:
            self._thread.join(JOIN_TIMEOUT)

    def _run(self) -> None:
        failures = 0
        while not self._closing.is_set():
            received, pause = self._listen_once()
            self._emit(None)
            if pause is None:
                return
            failures = 0 if received else failures + 1
            backoff = min(FIRST_PAUSE * 2.0 ** min(failures, 10), LONGEST_PAUSE)
            self._closing.wait(max(backoff, pause))

    def _listen_once(self) -> tuple[bool, float | None]:
        """Return whether any message came, and the least pause before another attempt.

        None for the pause: another attempt is useless.
        """
        received = False
        try:
            with self._transport.stream(
                self._path, accept="text/event-stream", silence=SILENCE
            ) as response:
                self._response = response
                if self._closing.is_set():  # it was closed while the stream was being opened
                    return received, None
                self._emit(None)
                for event in httpx2.EventSource(response):
                    received = True
                    self._emit(Message(event.event, event.data))
        except HttpError as error:
            is_refusal = error.status in FINAL_STATUSES and error.from_api
            is_final = is_refusal or error.status == GONE
            return received, None if is_final else error.retry_after or 0.0
        except ApiError:
            return received, 0.0
        except Exception:
            if not self._closing.is_set():  # hanging up pulls the socket from under the library
                raise
        finally:
            self._response = None
        return received, 0.0

    def _emit(self, message: Message | None) -> None:
        if message is not None:
            hide = self._transport.without_key
            message = Message(hide(message.name), hide(message.data))
        if not self._closing.is_set():
            self._on_message(message)


def _hang_up(response: httpx2.Response) -> None:
    """Shut down the socket that another thread reads: closing alone would not wake it."""
    stream = response.extensions.get("network_stream")
    end = stream.get_extra_info("socket") if stream is not None else None
    if isinstance(end, socket.socket):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
