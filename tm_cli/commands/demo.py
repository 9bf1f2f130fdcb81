"""`tm demo`."""

from __future__ import annotations

import tempfile
from pathlib import Path

from tm_cli.cli.app import App
from tm_cli.cli.session import CommandContext, with_session
from tm_cli.errors import ConfigurationError
from tm_cli.exit_codes import ExitCode

app = App()


@app.command("demo")
@with_session
def demo(session: CommandContext) -> int:
    """Watch a gate pass and fail, in about a minute.

    Starts a small service on this machine and tests it with real load three times; before the
    last test it makes the service slower. Exits with 0 only if each command returned the
    expected exit code.

    tm demo
    """
    from tm_cli.demo.demo import run
    from tm_cli.runtime.local_server import is_server_installed

    if not is_server_installed():
        raise ConfigurationError(
            "the demo needs the embedded server, which is not installed",
            hint="pip install 'tm-cli[local]'",
        )
    with tempfile.TemporaryDirectory(prefix="tm-demo-", ignore_cleanup_errors=True) as directory:
        passed = run(Path(directory), session.context.environ, session.terminal.write_result)
    if passed:
        session.terminal.write_result(
            "\nEvery command returned the expected exit code.\n"
            "Next: `tm run URL` tests a service of yours, `tm init` sets up a gate in a repository."
        )
        return int(ExitCode.OK)
    session.terminal.write_line("tm: a command did not return the expected exit code")
    return int(ExitCode.ERROR)
