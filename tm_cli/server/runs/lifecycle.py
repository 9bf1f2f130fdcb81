"""What happens around the load of a run: its init script before; its cleanup script and the call of
its callback URL afterwards, which change neither its results nor its verdict.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import logging
import re
from collections.abc import Awaitable, Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tm_cli.server.outgoing import OutgoingRequests, RequestFailed
from tm_cli.server.profiles import ProfileFields, StoredProfile
from tm_cli.server.runs.script_process import ScriptFailed, ScriptProcess, ScriptSource
from tm_cli.server.sandbox import is_installed
from tm_cli.server.store.history import HistoryStore
from tm_cli.server.store.stored_rows import StoredRow
from tm_cli.server.web.bodies import Refusal
from tm_cli.values.text import sanitize

SIGNATURE = "X-TrafficMorph-Signature"
TIMESTAMP = "X-TrafficMorph-Timestamp"
ATTEMPTS = (0.0, 1.0, 5.0)
"""Seconds before each attempt to reach a callback URL."""
_CALLBACK_SECONDS = 5.0
_LARGEST_ANSWER = 64 * 1024
_MOST_VALUES = 100
_MOST_TEXTS = 1000
"""Each is looked for in all messages of the run."""
_NAME = re.compile(r"[^\s${}]{1,200}")
_SUCCESS = range(200, 300)
_MAY_SUCCEED_LATER = {408, 425, 429}

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class InitValues:
    """What an init script has returned, and notes about its console."""

    values: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def secrets(self, taken: Container[str]) -> dict[str, str]:
        """The texts within the values by their paths, which differ from the names `taken`."""
        found: dict[str, str] = {}
        for path, text in _texts(self.values.items()):
            while path in taken or path in found:
                path += " of init()"
            found[path] = text
        return found


def _texts(items: Iterable[tuple[object, Any]]) -> Iterator[tuple[str, str]]:
    for name, value in items:
        if isinstance(value, str):
            yield str(name), value
        elif isinstance(value, (dict, list)):
            inner = value.items() if isinstance(value, dict) else enumerate(value)
            yield from ((f"{name}.{path}", text) for path, text in _texts(inner))


def require_scripts(fields: ProfileFields) -> None:
    """Raise `Refusal`, naming the field, for scripts that cannot be run here, or not like this."""
    found = {script.name for script in _scripts(fields)}
    for name in sorted(found):
        _require_engine(name)
        if fields.locustfile:
            raise Refusal(f"{name} is not possible with a locustfile, which has code of its own")
    if "responseScript" in found:
        if fields.steps:
            raise Refusal("responseScript is not possible with steps; their `extract` has values")
        if fields.http_version == "2":
            raise Refusal("responseScript is not possible with httpVersion 2")


def require_storable(fields: ProfileFields) -> None:
    """Raise `Refusal` for scripts that a profile cannot have while `lifecycleScripts` is off."""
    for script in _scripts(fields):
        if script.name in ("initScript", "cleanupScript"):
            _require_engine(script.name)


def _require_engine(name: str) -> None:
    if not is_installed():
        raise Refusal(
            f"{name} needs the engine for JavaScript, which is not installed where the server "
            "runs: pip install 'tm-cli[local,scripts]'"
        )


async def initialize(fields: ProfileFields, outgoing: OutgoingRequests) -> InitValues:
    """Read all scripts of a profile, and run its init script; raises `Refusal`."""
    scripts = _scripts(fields)
    if not scripts:
        return InitValues()
    process = ScriptProcess(outgoing)
    try:
        if not fields.init_script:
            await process.check(scripts)
            return InitValues()
        init, *others = sorted(scripts, key=lambda script: script.name != "initScript")
        result = await process.call(init, also_checked=others)
    except ScriptFailed as failure:
        raise Refusal(str(failure)) from None
    return InitValues(_checked(result.value), _notes("initScript", result.console))


def _scripts(fields: ProfileFields) -> list[ScriptSource]:
    return [
        ScriptSource(name, function, source)
        for name, function, source in (
            ("responseScript", "process", fields.response_script),
            ("initScript", "init", fields.init_script),
            ("cleanupScript", "cleanup", fields.cleanup_script),
        )
        if source
    ]


def _checked(value: Any) -> dict[str, Any]:
    """The keys that become macros; raises `Refusal`."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Refusal("initScript: init() must return an object, whose keys become macros")
    if len(value) > _MOST_VALUES:
        raise Refusal(f"initScript: init() returned more than {_MOST_VALUES} keys")
    if sum(1 for _ in _texts(value.items())) > _MOST_TEXTS:
        raise Refusal(f"initScript: init() returned more than {_MOST_TEXTS:,} texts")
    for name in value:
        if not _NAME.fullmatch(name):
            raise Refusal(f"initScript: init() returned {sanitize(name)!r}, which is no macro")
    return value


def _notes(name: str, console: Sequence[str]) -> tuple[str, ...]:
    return tuple(f"{name} wrote: {line}" for line in console)


@dataclass(frozen=True, slots=True)
class EndActions:
    """What is done once a run has ended, however it did; `history` gets notes about failures.

    Those of a run itself would be a reason for its verdict. The values of `init` are the macros of
    the cleanup script, which may send requests to `targets`. `hide` leaves secrets out of a text.
    """

    run_id: str
    profile: StoredProfile
    init: InitValues
    hide: Callable[[str], str]
    history: HistoryStore
    targets: OutgoingRequests
    callbacks: OutgoingRequests
    now: Callable[[], datetime]
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep

    @property
    def has_any(self) -> bool:
        fields = self.profile.fields
        return bool(fields.cleanup_script or fields.callback_url or self.init.notes)

    async def __call__(self, history_id: int | None, metrics: Mapping[str, Any]) -> None:
        """Clean up, then call back; `metrics` are what the cleanup script gets."""
        notes = [*self.init.notes, *await self._clean_up(metrics)]
        notes += await self._call_back(history_id)
        if notes and history_id is not None:
            hidden = [self.hide(text) for text in notes]
            await asyncio.to_thread(self.history.set_script_notes, history_id, hidden)

    async def _clean_up(self, metrics: Mapping[str, Any]) -> Sequence[str]:
        source = self.profile.fields.cleanup_script
        if not source:
            return []
        script = ScriptSource("cleanupScript", "cleanup", source)
        process = ScriptProcess(self.targets)
        try:
            result = await process.call(script, dict(metrics), constants=self.init.values)
        except ScriptFailed as failure:
            logger.warning("run %s: %s", self.run_id, self.hide(str(failure)))
            return [f"{failure} (the cleanup of the run has failed)"]
        return _notes("cleanupScript", result.console)

    async def _call_back(self, history_id: int | None) -> Sequence[str]:
        url = self.profile.fields.callback_url
        row = self.history.find(history_id) if url and history_id is not None else None
        if not url or row is None:
            return []
        body = json.dumps(callback_document(row)).encode()
        failure = ""
        for delay in ATTEMPTS:
            await self.sleep(delay)
            failure, may_succeed = await self._attempt(url, body)
            if not may_succeed:
                break
        if not failure:
            return []
        text = f"callbackUrl was not reached: {failure}"
        logger.warning("run %s: %s", self.run_id, self.hide(text))
        return [text]

    async def _attempt(self, url: str, body: bytes) -> tuple[str, bool]:
        """What has failed, and whether another attempt may succeed; an empty text is success."""
        timestamp = str(int(self.now().timestamp()))
        headers = {
            "Content-Type": "application/json",
            TIMESTAMP: timestamp,
            SIGNATURE: signature(self.profile.callback_secret, timestamp, body),
        }
        try:
            answer = await self.callbacks.send(
                "POST",
                url,
                headers=headers,
                body=body,
                seconds=_CALLBACK_SECONDS,
                most=_LARGEST_ANSWER,
            )
        except RequestFailed as failed:
            return sanitize(failed), True
        if answer.status in _SUCCESS:
            return "", False
        may_succeed = answer.status >= 500 or answer.status in _MAY_SUCCEED_LATER
        return f"the answer was {answer.status}", may_succeed


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """What proves that a message is from this server: HMAC-SHA256 of its time and its body."""
    signed = timestamp.encode() + b"." + body
    return "sha256=" + hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()


def callback_document(row: StoredRow) -> dict[str, Any]:
    """The body of the message to a callback URL."""
    return {
        "event": "run.ended",
        "runId": row["run_id"],
        "historyId": row["id"],
        "profileId": row["profile_id"],
        "profileName": row["profile_name"],
        "outcome": row["outcome"],
        "autoVerdict": row["auto_verdict"],
        "autoVerdictReasons": json.loads(row["auto_verdict_reasons"] or "[]"),
        "startedAt": row["started_at"],
        "finishedAt": row["finished_at"],
        "totalRequests": row["total_requests"],
        "totalErrors": row["total_errors"],
        "avgRps": row["avg_rps"],
        "region": row["region"],
        "tags": json.loads(row["tags"]),
        "triggeredBy": row["triggered_by"],
    }
