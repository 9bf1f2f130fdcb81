"""`tm config`: what is in effect, and where it comes from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tm_cli.cli.app import App
from tm_cli.cli.global_options import group
from tm_cli.cli.session import CommandContext, with_session
from tm_cli.errors import TmError
from tm_cli.settings import DEFINITIONS, SYSTEMS, MissingKey, Origin, Setting, Source, setting_name
from tm_cli.settings.credentials import shown_key_file
from tm_cli.values.text import sanitize
from tm_cli.values.thresholds import format_threshold

app = App()

_MASK = "***"


@dataclass(frozen=True, slots=True)
class _SettingRow:
    """A name, what JSON has, what people read, and an origin."""

    name: str
    value: Any
    shown: str
    origin: str


@app.callback()
@group
def config() -> None:
    """Show the effective settings."""


@app.command("show")
@with_session
def show(session: CommandContext) -> int:
    """Show all settings and limits with their values and origins; keys are masked.

    tm config show

    tm config show --context staging
    """
    from tm_cli.render.tables import listed

    rows = [*_settings(session), *_limits(session)]
    data = {row.name: {"value": row.value, "origin": row.origin} for row in rows}
    cells = [(row.name, row.shown, row.origin) for row in rows]
    head = ("SETTING", "VALUE", "FROM")
    return session.emit(data, lambda: listed(session.terminal, head, cells))


def _settings(session: CommandContext) -> Iterator[_SettingRow]:
    settings = [session.settings[name] for name in DEFINITIONS]  # an error ends it before a note
    used = {system: _origin_of_key(session, system) for system in SYSTEMS}
    keys = {
        setting_name(system, name): used[system]
        for system in SYSTEMS
        for name in ("api_key", "api_key_file")
    }
    for setting in settings:
        name = setting.definition.name
        if name in keys:
            yield _key_row(setting, keys[name])
        else:
            yield _SettingRow(name, setting.value, _shown(setting), str(setting.origin))


def _limits(session: CommandContext) -> Iterator[_SettingRow]:
    for name, (value, origin) in session.settings.thresholds.items():
        yield _SettingRow(f"gate.{name}", value, format_threshold(name, value), str(origin))


def _origin_of_key(session: CommandContext, system: str) -> Origin | None:
    """Where the key of a system is taken from; says why it is not, unless there is none."""
    try:
        return session.settings.endpoint(system).credential.origin
    except MissingKey:
        return None
    except TmError as problem:
        session.note(f"tm: {sanitize(problem.message)}")
        return None


def _key_row(setting: Setting, used: Origin | None) -> _SettingRow:
    """A key or its file; one that is not used is marked."""
    name, secret = setting.definition.name, setting.definition.secret
    if secret and used is not None and used.source is Source.STORED:
        return _SettingRow(name, _MASK, _MASK, str(used))
    if setting.value is None:
        return _SettingRow(name, None, "-", str(setting.origin))
    value = _MASK if secret else shown_key_file(Path(setting.value))
    origin = str(setting.origin) if setting.origin == used else f"{setting.origin}, not used"
    return _SettingRow(name, value, str(value), origin)


def _shown(item: Setting) -> str:
    match item.value:
        case None:
            return "auto" if item.definition.name == "poll_interval" else "-"
        case bool() as flag:
            return str(flag).lower()
        case float() as seconds:
            return f"{seconds:g}s"
        case value:
            return str(value)
