"""`tm config`: what is in effect, and where it comes from."""

from __future__ import annotations

from typing import Any

import typer

from tm_cli.commands.session import Session, command
from tm_cli.gate_limits import show_limit
from tm_cli.global_options import group
from tm_cli.lazy import QuickGroup
from tm_cli.render.tables import columns
from tm_cli.settings import DEFINITIONS, Setting

app = typer.Typer(cls=QuickGroup, add_completion=False, no_args_is_help=True)


@app.callback()
@group
def config() -> None:
    """Show the effective settings."""


@app.command("show")
@command
def show(session: Session) -> int:
    """Print every setting and every limit, its value and its origin; the key is masked.

    tm config show
    """
    settings = [session.settings[name] for name in DEFINITIONS]
    rows = [(item.definition.name, _shown(item), str(item.origin)) for item in settings]
    data = {
        item.definition.name: {"value": _data(item), "origin": str(item.origin)}
        for item in settings
    }
    for name, (value, origin) in session.settings.limits.items():
        rows.append((f"gate.{name}", show_limit(name, value), str(origin)))
        data[f"gate.{name}"] = {"value": value, "origin": str(origin)}
    return session.emit(data, lambda: columns(session.terminal, ("SETTING", "VALUE", "FROM"), rows))


def _data(item: Setting) -> Any:
    return "***" if item.definition.secret and item.value is not None else item.value


def _shown(item: Setting) -> str:
    match _data(item):
        case None:
            return "auto" if item.definition.name == "poll_interval" else "-"
        case bool() as flag:
            return str(flag).lower()
        case float() as seconds:
            return f"{seconds:g}s"
        case value:
            return str(value)
