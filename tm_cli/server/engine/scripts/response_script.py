"""Calls the response script for each response, in another process, and never delays a request.

Responses wait for the script in a queue of a limited size. Those that find it full are left out and
counted: to wait for the script would change when requests are sent.
"""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import gevent
from gevent.event import Event

from tm_cli.server.engine.http1.response import Response
from tm_cli.server.engine.job import LARGEST_FOR_SCRIPT, EngineJob, RunFailed
from tm_cli.server.engine.journeys.answers import Answer, TooLarge, Unusable
from tm_cli.server.engine.played import Names
from tm_cli.server.engine.scripts.follow_ups import FollowUps
from tm_cli.server.engine.scripts.process import ScriptProcess, ScriptProcessFailed
from tm_cli.server.sandbox import is_installed
from tm_cli.server.sandbox.macros import macros_of
from tm_cli.server.workers.engine_events import MOST_CONSOLE_LINES

OPENING = 45.0
"""Seconds for the engine to start, in which it is compiled, on a busy machine."""
CALL = 1.0
"""Seconds of one call."""
OF_RUN = frozenset({"DURATION", "TIME", "CURRENT_RPS"})
"""Macros that response scripts alone have; a column or a key of that name is used instead."""
_ANSWER = 10.0  # seconds for the calls of one line, after which the process is ended
_MOST_WAITING = 2000
_MOST_BYTES = 16 * 1024 * 1024
_LINE_BYTES = 64 * 1024
_LINE_CALLS = 50
_MOST_FAILURES = 3
_MOST_MESSAGES = 20
_SMALL_SHARE = 0.01  # which changes the load no more than chance does
_POLL = 0.02

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Waiting:
    """A response of a side, the variables of its request, and the values of the macros."""

    side: int
    response: Response
    variables: Mapping[str, str]
    values: Mapping[str, Any]

    @cached_property
    def arguments(self) -> tuple[int, str, str] | None:
        """Status, media type and body; None for a body that is too large once it is decoded."""
        answer = Answer.of(self.response, LARGEST_FOR_SCRIPT)
        mime = (answer.header("content-type") or "").partition(";")[0].strip().lower()
        try:
            return answer.status, mime, answer.text
        except TooLarge:
            return None
        except Unusable:  # an unknown coding
            return answer.status, mime, ""


class ResponseScript:
    """The script of a run. `second` is where on the curve the run is."""

    def __init__(self, job: EngineJob, second: Callable[[], float]) -> None:
        self._source = job.response_script or ""
        self._job = job
        self._curve = job.curve
        self._second = second
        macros = macros_of(self._source)
        self._columns = macros & job.variables.names - (job.init_values.keys() - job.columns)
        self._of_run = (macros & OF_RUN) - job.variables.names
        self.follow_ups = FollowUps(job)
        self._waiting: deque[_Waiting] = deque()
        self._waiting_bytes = 0
        self._calling = 0
        self._news = Event()
        self._process: ScriptProcess | None = None
        self._failures = 0
        self._ok = self._errors = self._skipped = self._too_large = 0
        self._messages: Counter[str] = Counter()
        self._names = Names(_MOST_MESSAGES, "other errors")
        self._console: list[str] = []
        self._worker: gevent.Greenlet | None = None

    def open(self) -> None:
        """Start the process of the script, before the load; raises RunFailed without it."""
        if not is_installed():  # on this machine, which may be an agent's
            raise RunFailed(
                "the response script needs the engine for JavaScript: "
                "pip install 'tm-cli[local,scripts]'"
            )
        try:
            self._start()
        except ScriptProcessFailed as error:
            raise RunFailed(f"the response script cannot be run: {error}") from None
        self._worker = gevent.spawn(self._work)

    def take(self, side: int, variables: Mapping[str, str], response: Response) -> None:
        """Have the script called for a response, if there is room."""
        size = len(response.body)
        if response.body_size > LARGEST_FOR_SCRIPT:
            self._too_large += 1
            return
        if self._is_full(size):
            self._skipped += 1
            return
        self._waiting_bytes += size
        values = self._values(variables)
        self._waiting.append(_Waiting(side, response, variables, values))
        self._news.set()

    def close(self, patience: float) -> None:
        """Let what waits be done within `patience` seconds; the rest is left out."""
        try:
            with gevent.Timeout(patience, False):
                while not self._is_idle:
                    gevent.sleep(_POLL)
        finally:
            if self._worker:
                self._worker.kill()
            if self._process:
                self._process.kill()
            self._skipped += len(self._waiting) + self._calling
            self._waiting.clear()
            self._calling = 0
            self.follow_ups.close()

    def counts(self) -> dict[str, Any]:
        """The fields of the event `scripts`."""
        return {
            "ok": self._ok,
            "errors": self._errors,
            "skipped": self._skipped + self._too_large,
            "messages": dict(self._messages),
            "console": self._console,
            "follow_ups": self.follow_ups.counts(),
        }

    def note(self) -> str | None:
        """What makes the load less than the script asks for; such a run is not to pass.

        Whether a script asks for requests is not known before a call has returned.
        """
        calls = self._ok + self._errors + self._skipped
        asked = self.follow_ups.sent + self.follow_ups.dropped
        may_ask = asked > 0 or self._failures > 0 or not self._ok
        if may_ask and self._skipped > _SMALL_SHARE * calls:
            return (
                f"the response script was not called for {self._skipped:,} of {calls:,} responses"
            )
        if self.follow_ups.dropped > _SMALL_SHARE * asked:
            return (
                f"{self.follow_ups.dropped:,} of {asked:,} requests of the response script "
                "were not sent"
            )
        return None

    @property
    def _is_idle(self) -> bool:
        return not self._waiting and not self._calling and self.follow_ups.is_idle

    def _is_full(self, size: int) -> bool:
        is_gone = self._failures > _MOST_FAILURES
        return (
            is_gone
            or len(self._waiting) >= _MOST_WAITING
            or self._waiting_bytes + size > _MOST_BYTES
        )

    def _values(self, variables: Mapping[str, str]) -> dict[str, Any]:
        """The values of the macros that the script has."""
        found: dict[str, Any] = {name: variables[name] for name in self._columns & variables.keys()}
        if self._of_run:
            second = self._second()
            known = {
                "DURATION": self._job.duration,
                "TIME": round(second, 3),
                "CURRENT_RPS": round(self._curve.rate(second), 3),
            }
            found.update((name, known[name]) for name in self._of_run)
        return found

    def _start(self) -> None:
        self._process = ScriptProcess()
        opening = {
            "scripts": [("responseScript", "process", self._source)],
            "macros": sorted(self._columns | self._of_run),
            "constants": self._job.init_values,
            "seconds": CALL,
            "fetch": False,
        }
        answer = self._process.exchange(opening, OPENING)
        if error := answer.get("error"):
            self._process.kill()
            raise ScriptProcessFailed(str(error))

    def _work(self) -> None:
        while True:
            self._news.wait()
            self._news.clear()
            while self._waiting and self._failures <= _MOST_FAILURES:
                if line := self._line():
                    self._call(line)
                gevent.sleep(0)  # requests that are due go first
            self._skipped += len(self._waiting)
            self._waiting.clear()
            self._waiting_bytes = 0

    def _line(self) -> list[_Waiting]:
        """The responses of one line: few, because to encode them takes the load's own time."""
        size = 0
        found: list[_Waiting] = []
        for _ in range(min(_LINE_CALLS, len(self._waiting))):
            each = self._waiting.popleft()
            self._waiting_bytes -= len(each.response.body)
            if each.arguments is None:
                self._too_large += 1
                continue
            found.append(each)
            size += len(each.arguments[-1])
            if size >= _LINE_BYTES:
                break
        return found

    def _call(self, responses: list[_Waiting]) -> None:
        self._calling = len(responses)
        calls = [(each.values, each.arguments) for each in responses]
        try:
            if self._process is None:
                self._start()
            assert self._process is not None  # noqa: S101 - it has been started
            answer = self._process.exchange({"calls": calls}, _ANSWER)
            results = [(bool(is_value), value) for is_value, value in answer["results"]]
        except (ScriptProcessFailed, KeyError, TypeError, ValueError) as error:
            self._process = None
            self._failures += 1
            _LOG.warning("the response script was ended: %s", error)
            results = [(False, f"the script was ended: {error}")] * len(calls)
            answer = {}
        self._calling = 0
        self._put_back(responses[len(results) :])
        lines = answer.get("console") or []
        self._console += [str(line) for line in lines][: MOST_CONSOLE_LINES - len(self._console)]
        for response, (is_value, value) in zip(responses, results, strict=False):
            self._note(response, value, is_value=is_value)

    def _put_back(self, responses: list[_Waiting]) -> None:
        """What the script was too slow for is the first in the next line."""
        self._waiting.extendleft(reversed(responses))
        self._waiting_bytes += sum(len(each.response.body) for each in responses)

    def _note(self, response: _Waiting, value: Any, *, is_value: bool) -> None:
        if is_value:
            self._ok += 1
            self.follow_ups.take(response.side, value, response.variables)
        else:
            self._errors += 1
            self._messages[self._names.bounded(str(value))] += 1
