"""`tm version`."""

from __future__ import annotations

from tm_cli import VERSION_LINE, __version__
from tm_cli.cli.app import App
from tm_cli.cli.session import CommandContext, with_session

app = App()


@app.command("version")
@with_session
def version(session: CommandContext) -> int:
    """Print the version of tm and of its API specification.

    tm version
    """
    return session.emit({"version": __version__, "spec": "v1"}, lambda: VERSION_LINE)
