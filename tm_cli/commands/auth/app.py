"""`tm auth`: store, check and remove API keys."""

from __future__ import annotations

from typing import Annotated

import typer

from tm_cli.cli.app import App
from tm_cli.cli.global_options import group
from tm_cli.cli.options import System
from tm_cli.cli.session import CommandContext, with_session

app = App()


SystemOption = Annotated[System, typer.Option("--system", help="System that the key belongs to.")]
NoCheck = Annotated[bool, typer.Option("--no-check", help="Do not check the key with the server.")]


@app.callback()
@group
def auth() -> None:
    """Store, check and remove API keys."""


@app.command("login")
@with_session
def login(
    session: CommandContext,
    *,
    system: SystemOption = System.TRAFFICMORPH,
    no_check: NoCheck = False,
) -> int:
    """Read an API key from a prompt or a pipe, check it with its server and store it.

    The key is stored in the system keyring, or else in a file that only you can read, and is
    sent only to this server.

    tm auth login --base-url https://trafficmorph.example

    tm auth login --context staging --system runloop < key.txt
    """
    from tm_cli.commands.auth.keys import store_key

    stored = store_key(session, system.value, check=not no_check)
    if session.flags.get("base_url"):
        session.note("tm: commands use this server when a variable, a file or a context names it")
    return session.emit(stored.data(), stored.summary)


@app.command("status")
@with_session
def status(session: CommandContext, *, no_check: NoCheck = False) -> int:
    """Show each key: where it is stored, its server, whether the server accepts it.

    Checks all systems and contexts. Shows no part of a key. Exits with 0 if there is at least
    one key and all keys work.

    tm auth status
    """
    from tm_cli.commands.auth.keys import key_statuses, show_statuses

    return show_statuses(session, key_statuses(session, check=not no_check))


@app.command("logout")
@with_session
def logout(session: CommandContext, *, system: SystemOption = System.TRAFFICMORPH) -> int:
    """Remove a server's stored key from this machine; the key itself stays valid.

    tm auth logout --context staging
    """
    from tm_cli.commands.auth.keys import remove_key

    removed = remove_key(session, system.value)
    return session.emit(removed.data(), removed.summary)
