"""`tm run`: one load test of a document or an address, gated on FAIL, without further set-up."""

from __future__ import annotations

from functools import partial
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
        help=f"Requests per second, with a URL. [{RATE}]",
        rich_help_panel=LOAD,
    ),
]
Duration = Annotated[
    str | None,
    typer.Option(
        metavar="DURATION",
        help=f"Duration of the run, with a URL. [{DURATION}]",
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
            help="Path to a profile document, name or id of a profile, or the URL to test.",
        ),
    ],
    rate: Rate = None,
    duration: Duration = None,
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

    tm run checkout.yaml

    tm run http://localhost:8080/checkout --rate 50 --duration 30s

    tm run http://localhost:8080/checkout --serve './start.sh --port 8080'
    """
    options.reject_space_after_comma(gate_options.fail_on, [target])
    if target in _OF_RUNS:
        raise UsageError(
            f"{target} is a command of `tm runs`. Did you mean `tm runs {target}`?",
            hint=f"a profile of that name: `tm runs start {target} --wait --fail-on FAIL`",
        )
    serves = target_options.serve is not None
    with wait_options.open(session, serves=serves) as behavior:
        document = profile_of_url(target, rate, duration)
        from tm_cli.commands.runs.target import read_target

        profiles = [] if document else [target]
        observed = read_target(
            session, target_options, profiles, wait_for_target=start_options.wait_for_target
        )
        gate = gate_options.read(
            session,
            checks=options.with_assert_setting(session, checks, observed.names),
            metrics=observed.names,
            abort_if=options.read_abort_if(session, abort_if),
            confirm=confirm,
        )
        from tm_cli.commands.runs.gate import ShortGate, read_request
        from tm_cli.commands.shared.gate import start_and_wait

        request = read_request(session, [target], start_options, document=document, serves=serves)
        runs = ShortGate(session)
        if document is not None:
            check_reach(document["endpointUrl"], runs.server)
        plan = partial(runs.plan, request)
        return start_and_wait(runs, gate, behavior, plan, prepare=observed.prepare)


def profile_of_url(target: str, rate: str | None, duration: str | None) -> dict[str, Any] | None:
    """Return the profile of a URL, None where the target names a profile.

    Raises UsageError for a bad value, and for a load that a profile has already.
    """
    from tm_cli.backends.trafficmorph.profile_documents import constant_load
    from tm_cli.setup.answers import is_address, read_rate, read_seconds, read_target

    if not is_address(target):
        for flag, value in (("--rate", rate), ("--duration", duration)):
            if value is not None:
                raise UsageError(
                    f"{flag} goes with a URL; {target} is a profile, which has its own load",
                    hint="change the points in the document",
                )
        return None
    url = _read("URL", read_target, target)
    return constant_load(
        url,
        _read("--rate", read_rate, rate or RATE),
        _read("--duration", read_seconds, duration or DURATION),
    )


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
