"""Profile names of the configured server, from a short-lived cache or one quick request.

Completion must not block: a request has a second, and a failure is cached like a response.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from tm_cli.errors import TmError
from tm_cli.runtime.announcement import find_running
from tm_cli.runtime.environment import Environment
from tm_cli.runtime.files import make_private_dir, write_atomic
from tm_cli.settings import TRAFFICMORPH, Settings
from tm_cli.values.api_key import ApiKey
from tm_cli.values.text import sanitize
from tm_cli.values.urls import LOCAL

LIFETIME = 60.0
"""Seconds for which a response is cached, and for which a silent server is not asked again."""

PATIENCE = 1.0
"""Seconds for the whole of a request, name resolution included."""

PROOF_PATIENCE = 0.5
"""Seconds in which an embedded server must have proved that it is the one."""


@dataclass(frozen=True, slots=True)
class CachedProfile:
    """The id and name of a profile."""

    number: int
    name: str


@dataclass(frozen=True, slots=True)
class ProfileSource:
    """A server and its key; `whose` distinguishes accounts on the same server."""

    base_url: str
    key: ApiKey
    whose: str
    ca_file: str | None = None


def find_source(settings: Settings, data_dir: Callable[[], Path]) -> ProfileSource | None:
    """Return the server to ask; None without a server or key. Never starts the embedded one."""
    try:
        endpoint = settings.endpoint(TRAFFICMORPH)
        if endpoint.base_url in (None, LOCAL):
            running = find_running(data_dir(), settings.environ, PROOF_PATIENCE)
            if running is None:
                return None
            return ProfileSource(running.base_url, running.key, str(running.key_file))
        found, url = endpoint.credential, str(endpoint.base_url)
        return ProfileSource(url, found.key, str(found.origin), settings.value("ca_file"))
    except TmError:
        return None


def read_profiles(
    context: Environment, source: ProfileSource, patience: float = PATIENCE
) -> list[CachedProfile]:
    """Return profiles at most a minute old, or older ones if the server does not respond."""
    path = _cache_file(context, source)
    at, cached = _read_cache(path)
    now = context.clock.now().timestamp()
    if 0 <= now - at <= LIFETIME:
        return cached
    asked = _ask(context, source, patience)
    profiles = cached if asked is None else asked
    _write_cache(path, now, profiles)
    return profiles


def _ask(
    context: Environment, source: ProfileSource, patience: float
) -> list[CachedProfile] | None:
    """Ask in a separate thread, which is abandoned if it takes too long, as DNS may."""
    answers: list[list[CachedProfile]] = []

    def ask() -> None:
        with suppress(Exception):  # a later command reports the error
            answers.append(_fetch(context, source, patience))

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(patience)
    return answers[0] if answers else None


def _fetch(context: Environment, source: ProfileSource, patience: float) -> list[CachedProfile]:
    from tm_cli.api.trafficmorph import TrafficMorphClient
    from tm_cli.api.transport import Connection, Transport

    connection = Connection(
        base_url=source.base_url,
        key=source.key,
        clock=context.clock,
        timeout=patience,
        environ=context.environ,
        ca_file=source.ca_file,
    )
    with closing(Transport(connection)) as transport:
        found = TrafficMorphClient(transport, context.clock).without_retries().list_profiles()
    return [CachedProfile(item.id, item.name) for item in found]


def _cache_file(context: Environment, source: ProfileSource) -> Path:
    name = hashlib.sha256(f"{source.base_url}\n{source.whose}".encode()).hexdigest()[:16]
    return context.find_state_dir() / "completion" / f"{name}.json"


def _read_cache(path: Path) -> tuple[float, list[CachedProfile]]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        profiles = [CachedProfile(int(number), str(name)) for number, name in document["profiles"]]
        return float(document["at"]), profiles
    except (OSError, ValueError, KeyError, TypeError):
        return float("-inf"), []


def _write_cache(path: Path, at: float, profiles: list[CachedProfile]) -> None:
    content = {"at": at, "profiles": [[item.number, item.name] for item in profiles]}
    try:
        make_private_dir(path.parent)
        write_atomic(path, json.dumps(content))
    except OSError:
        return  # without a cache, the next tab asks again


def is_typable(name: str) -> bool:
    """Whether the name can be typed in a shell and tm would read it as a name."""
    return (
        name == sanitize(name, longest=len(name) + 1)
        and not name.startswith(("-", "~"))
        and not name.isdigit()
        and "/" not in name
    )
