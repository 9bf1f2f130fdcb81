"""`tm run`: one load test of a document or an address, gated on FAIL, without further set-up."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from tm_cli.cli import options
from tm_cli.cli.app import App
from tm_cli.cli.help_page import LOAD
from tm_cli.cli.session import CommandContext, with_session
from tm_cli.completion.candidates import complete_profiles
from tm_cli.errors import UsageError

app = App()

RATE, DURATION = "50", "30s"
Rate = Annotated[
    str | None,
    typer.Option(
        metavar="RATE",
        help=f"Requests per second of a URL, or visitors of a locustfile. [{RATE} with a URL]",
        rich_help_panel=LOAD,
    ),
]
Duration = Annotated[
    str | None,
    typer.Option(
        metavar="DURATION",
        help=f"Duration of the run of a URL or locustfile. [{DURATION} with a URL]",
        rich_help_panel=LOAD,
    ),
]
Host = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="Target of a locustfile. [its host]",
        rich_help_panel=LOAD,
    ),
]
_OF_RUNS = frozenset({"start", "wait", "status", "stop", "pause", "resume"})
"""`tm run stop` with the s forgotten would start a run."""


@app.command("run")
@with_session
def run(
    session: CommandContext,
    *,
    target: Annotated[
        str,
        typer.Argument(
            metavar="FILE|URL",
            autocompletion=complete_profiles,
            help="Path to a profile document or locustfile, name or id of a profile, or the URL "
            "to test.",
        ),
    ],
    rate: Rate = None,
    duration: Duration = None,
    host: Host = None,
    gate_options: options.GateOptions,
    checks: options.Assert = None,
    abort_if: options.AbortIf = None,
    confirm: options.Confirm = 0,
    start_options: options.StartOptions,
    target_options: options.TargetOptions,
    wait_options: options.WaitOptions,
) -> int:
    """Start a run, wait for its verdict and exit by it: the short way in.

    The gate fails on FAIL unless --fail-on or a setting names other verdicts. A URL gets GET
    requests at a constant rate; its profile is named after it, so that the next run is compared.
    A locustfile (.py) is played by visitors who come at the rate.

    tm run checkout.yaml

    tm run http://localhost:8080/checkout --rate 50 --duration 30s

    tm run http://localhost:8080/checkout --serve './start.sh --port 8080'

    tm run shop.py --rate 5 --duration 60s
    """
    options.reject_space_after_comma(gate_options.fail_on, [target])
    if target in _OF_RUNS:
        raise UsageError(
            f"{target} is a command of `tm runs`. Did you mean `tm runs {target}`?",
            hint=f"a profile of that name: `tm runs start {target} --wait --fail-on FAIL`",
        )
    serves = target_options.serve is not None
    with wait_options.open(session, serves=serves) as behavior:
        [target], document = read_load(session, [target], rate, duration, host)
        document = document or profile_of(target, None, None, cwd=session.context.cwd)
        from tm_cli.commands.runs.target import read_gate

        observed, gate = read_gate(
            session,
            [] if document else [target],
            gate_options,
            start_options,
            target_options,
            checks=checks,
            abort_if=abort_if,
            confirm=confirm,
        )
        from tm_cli.commands.runs.gate import ShortGate
        from tm_cli.commands.runs.request import read_request
        from tm_cli.commands.shared.gate import start_and_wait

        request = read_request(session, [target], start_options, document=document, serves=serves)
        runs = ShortGate(session)
        if document is not None:
            check_reach(document["endpointUrl"], runs.server)
        plan = partial(runs.plan, request)
        return start_and_wait(runs, gate, behavior, plan, prepare=observed.prepare)


def profile_of(
    target: str, rate: str | None, duration: str | None, host: str | None = None, *, cwd: Path
) -> dict[str, Any] | None:
    """Return the profile of a URL or a locustfile, None where the target names a profile.

    Raises UsageError for a bad value, and for a load that a profile has already.
    """
    from tm_cli.backends.trafficmorph import locustfiles
    from tm_cli.backends.trafficmorph.profile_documents import constant_load, portable
    from tm_cli.commands.shared.profile_argument import check_profile_argument, require_load
    from tm_cli.setup.answers import is_address, read_rate, read_seconds, read_target

    is_locustfile = locustfiles.names_locustfile(target)
    if is_locustfile:
        check_profile_argument(target, cwd)
        if rate is None or duration is None:
            require_load(target)
    elif not is_address(target):
        for flag, value in (("--rate", rate), ("--duration", duration), ("--host", host)):
            if value is not None:
                raise UsageError(
                    f"{flag} goes with a URL or a locustfile; {target} is a profile, which has "
                    "its own load",
                    hint="change the document",
                )
        return None
    elif host is not None:
        raise UsageError("--host goes with a locustfile; a URL names its host itself")
    per_second = _read("--rate", read_rate, rate or RATE)
    seconds = _read("--duration", read_seconds, duration or DURATION)
    if is_locustfile:
        chosen = None if host is None else _read("--host", read_target, host)
        load = locustfiles.load_of(target, cwd, rate=per_second, seconds=seconds, host=chosen)
        return portable(load)
    return constant_load(_read("URL", read_target, target), per_second, seconds)


def read_load(
    session: CommandContext,
    profiles: list[str],
    rate: str | None,
    duration: str | None,
    host: str | None,
) -> tuple[list[str], dict[str, Any] | None]:
    """Return the arguments of a start, and the profile of a locustfile with a load by options.

    Without options, the document of the same name takes the place of a locustfile.
    """
    from tm_cli.commands.shared.profile_argument import document_with_load

    cwd = session.context.cwd
    options = {"--rate": rate, "--duration": duration, "--host": host}
    given = [flag for flag, value in options.items() if value is not None]
    if not given:
        return [document_with_load(text, cwd) for text in profiles], None
    if len(profiles) != 1:
        raise UsageError(f"{given[0]} needs exactly one PROFILE, a locustfile")
    return profiles, profile_of(profiles[0], rate, duration, host, cwd=cwd)


def check_reach(url: str, server: str) -> None:
    from tm_cli.setup.answers import is_out_of_reach

    if is_out_of_reach(url, server):
        raise UsageError(
            f"{url} is this machine, and the server at {server} would load its own",
            hint="name an address that it reaches, or use the embedded server: --base-url local",
        )


def _read(what: str, read: Any, text: str) -> Any:
    try:
        return read(text)
    except ValueError as error:
        raise UsageError(f"invalid {what}: {error}") from None
