"""`tm doctor`: check that a gate can work here."""

from __future__ import annotations

from typing import Annotated

import typer

from tm_cli import __version__
from tm_cli.cli.app import App
from tm_cli.cli.options import System
from tm_cli.cli.session import CommandContext, with_session
from tm_cli.exit_codes import ExitCode
from tm_cli.settings import TRAFFICMORPH, Settings

app = App()


@app.command("doctor")
@with_session
def run_doctor(
    session: CommandContext,
    system: Annotated[
        System | None,
        typer.Option(help="System to check. [all that are configured]"),
    ] = None,
) -> int:
    """Check settings, network, key, embedded server, CI and terminal.

    Checks every system for which a server or a key is configured. Starts nothing, changes nothing
    and shows no key. Exits with the code that a gate would exit with.

    tm doctor

    tm doctor --system strait --json
    """
    from tm_cli.doctor.configuration import configured_systems
    from tm_cli.doctor.doctor import Doctor
    from tm_cli.doctor.machine import SystemMachine
    from tm_cli.doctor.network import SystemNetwork
    from tm_cli.render.check_results import conclusion, result_data, results_table
    from tm_cli.render.formats.json_document import document, to_json
    from tm_cli.values.check_result import worst

    meant = system.value if system else TRAFFICMORPH  # by flags such as --base-url

    def load_settings() -> Settings:
        return session.settings.for_system(meant)

    systems = (meant,) if system else configured_systems(load_settings)
    doctor = Doctor(
        context=session.context,
        systems=systems,
        version=__version__,
        network=SystemNetwork(),
        machine=SystemMachine(),
        load_settings=load_settings,
        find_data_dir=lambda: session.settings.find_data_dir(session.context.cwd),
    )
    results = list(doctor.results())
    decisive = worst(results)
    code = decisive.code if decisive else ExitCode.OK
    if session.wants_json:
        data = {
            "system": systems[0],
            "systems": list(systems),
            "checks": [result_data(item) for item in results],
        }
        error = None
        if decisive:
            word, text = code.name.lower(), decisive.text
            error = {"code": word, "message": text, "hint": decisive.fix, "request_id": None}
        session.terminal.write_result(to_json(document(data, exit_code=code, error=error)))
    else:
        table = results_table(session.terminal, results)
        session.terminal.write_result(f"{table}\n\n{conclusion(results)}")
    return int(code)
