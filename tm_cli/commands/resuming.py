"""What the command line that waits for a run must be told again about its server."""

from __future__ import annotations

from tm_cli.commands.session import Session
from tm_cli.settings import DEFINITIONS


def server_flags(session: Session, system: str) -> list[str]:
    """Return the flags of this call that named the context, and the server of this system."""
    names = ("context", *(("base_url", "api_key_file") if session.system == system else ()))
    return [
        word
        for name in names
        if (value := session.flags.get(name)) is not None
        for word in (DEFINITIONS[name].flag, str(value))
    ]
