"""The init and the cleanup script, each called once in a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import re
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, NamedTuple

from pydantic import BaseModel, Field, ValidationError

from tm_cli.runtime import child_environment
from tm_cli.server.outgoing import OutgoingRequests, RequestFailed
from tm_cli.values.text import sanitize

SECONDS = 10.0
"""Of a script, with its requests."""
MOST_FETCHES = 50
FETCH_SECONDS = 5.0
LARGEST_ANSWER = 256 * 1024
_OPENING = 15.0  # the engine is compiled; a client waits for its start half a minute
_GRACE = 2.0
_MAX_LINE = 4 * 1024 * 1024
_MOST_LINES = 20
_CREDENTIALS = re.compile(r"//[^/?#]*@")

logger = logging.getLogger(__name__)


class ScriptFailed(Exception):
    """The script could not be called, or has failed; the message is in one line."""


class ScriptSource(NamedTuple):
    """A script: the key of the profile that has it, its function, its text."""

    name: str
    function: str
    source: str


@dataclass(frozen=True, slots=True)
class ScriptResult:
    """What the function has returned, and what it has written to the console."""

    value: Any
    console: Sequence[str] = ()


class _Fetch(BaseModel):
    """What a script asks `fetch` for."""

    url: Annotated[str, Field(max_length=2048)]
    method: Annotated[str, Field(pattern=r"(?i)^(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS)$")] = "GET"
    headers: Annotated[
        dict[Annotated[str, Field(pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")], Any],
        Field(max_length=64),
    ]
    body: str | None = None


@dataclass(slots=True)
class ScriptProcess:
    """A sandbox (`tm_cli.server.sandbox`) for one call. It has no network: requests are sent here.

    With `outgoing` the script may `fetch`.
    """

    outgoing: OutgoingRequests | None = None
    _fetches: int = field(default=0, init=False)

    async def check(self, scripts: Sequence[ScriptSource]) -> None:
        """Raise ScriptFailed unless each of the scripts can be read and has its function."""
        async with self._started(scripts, {}):
            pass

    async def call(
        self,
        script: ScriptSource,
        *args: object,
        constants: Mapping[str, Any] | None = None,
        also_checked: Sequence[ScriptSource] = (),
    ) -> ScriptResult:
        """Call the function of a script; raises ScriptFailed."""
        async with self._started([script, *also_checked], constants or {}) as process:
            try:
                async with asyncio.timeout(SECONDS + _GRACE):
                    return await self._called(process, script.name, args)
            except TimeoutError:
                reason = f"{script.name}: it took longer than {SECONDS:g} s"
                raise ScriptFailed(reason) from None

    @contextlib.asynccontextmanager
    async def _started(
        self, scripts: Sequence[ScriptSource], constants: Mapping[str, Any]
    ) -> AsyncIterator[Process]:
        opening = {
            "scripts": [tuple(script) for script in scripts],
            "macros": [],
            "constants": dict(constants),
            "seconds": SECONDS,
            "fetch": self.outgoing is not None,
        }
        try:
            process = await _start()
        except OSError as error:
            raise ScriptFailed(f"the engine for scripts cannot be started: {error}") from None
        try:
            async with asyncio.timeout(_OPENING):
                answer = await _exchanged(process, opening)
            if "error" in answer:
                raise ScriptFailed(sanitize(answer["error"]))
            yield process
        except TimeoutError:
            reason = f"the engine for scripts has not started within {_OPENING:g} s"
            raise ScriptFailed(reason) from None
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()

    async def _called(self, process: Process, name: str, args: Sequence[object]) -> ScriptResult:
        answer = await _exchanged(process, {"calls": [[{}, args]]})
        while "fetch" in answer:
            answer = await _exchanged(process, await self._fetched(answer["fetch"]))
        console = [sanitize(line) for line in answer.get("console") or ()][:_MOST_LINES]
        [[is_value, value]] = answer["results"]
        if not is_value:
            raise ScriptFailed(f"{name}: {sanitize(value)}")
        return ScriptResult(value, console)

    async def _fetched(self, document: object) -> dict[str, Any]:
        """The answer to a request, or its error, as the script gets it."""
        self._fetches += 1
        if self.outgoing is None or self._fetches > MOST_FETCHES:
            return {"error": f"fetch: more than {MOST_FETCHES} requests"}
        try:
            asked = _Fetch.model_validate(document)
            answer = await self.outgoing.send(
                asked.method.upper(),
                asked.url,
                headers={name: str(value) for name, value in asked.headers.items()},
                body=(asked.body or "").encode(errors="replace"),
                seconds=FETCH_SECONDS,
                most=LARGEST_ANSWER,
            )
        except ValidationError:
            return {"error": "fetch: the URL, the method, the headers or the body cannot be sent"}
        except RequestFailed as failure:
            url = _CREDENTIALS.sub("//", asked.url)
            return {"error": f"fetch {sanitize(url)}: {sanitize(failure)}"}
        if answer.is_cut:
            return {"error": f"fetch: the answer has more than {LARGEST_ANSWER:,} bytes"}
        body = answer.body.decode(errors="replace")
        return {"status": answer.status, "headers": dict(answer.headers), "body": body}


async def _start() -> Process:
    return await asyncio.create_subprocess_exec(
        *child_environment.command("tm_cli.server.sandbox"),
        stdin=PIPE,
        stdout=PIPE,
        stderr=DEVNULL,
        env=child_environment.environment(os.environ),
        limit=_MAX_LINE,
        start_new_session=True,
        creationflags=child_environment.CREATION_FLAGS,
    )


async def _exchanged(process: Process, message: Mapping[str, Any]) -> dict[str, Any]:
    assert process.stdin is not None  # noqa: S101 - asked for at the start
    assert process.stdout is not None  # noqa: S101
    with contextlib.suppress(OSError):  # it has ended, as reading will show
        process.stdin.write(json.dumps(message).encode() + b"\n")
        await process.stdin.drain()
    try:
        answer = json.loads(await process.stdout.readline())
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise ScriptFailed("the process of the script has ended")
    return answer
