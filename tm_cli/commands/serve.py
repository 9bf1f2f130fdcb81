"""`tm serve`: the embedded server in the foreground."""

from __future__ import annotations

import json as jsonlib
import shlex
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tm_cli.cli import options
from tm_cli.cli.app import App
from tm_cli.cli.session import CommandContext, with_session
from tm_cli.errors import ConfigurationError, UsageError
from tm_cli.exit_codes import ExitCode
from tm_cli.runtime.files import expand_home
from tm_cli.values.text import sanitize
from tm_cli.values.urls import ascii_host

if TYPE_CHECKING:
    from tm_cli.server.capture_sources.remote import SourceDefinition
    from tm_cli.server.data_dir import ServerInfo

DEFAULT_PORT = 8092

app = App()


@app.command("serve")
@with_session
def serve(
    session: CommandContext,
    host: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS",
            help="Address to listen on; other than loopback only with TLS; 0.0.0.0 for all.",
        ),
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port to listen on; 0 for a free one.")
    ] = (DEFAULT_PORT),
    tls_cert: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Certificate chain (PEM); serve HTTPS."),
    ] = None,
    tls_key: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Private key (PEM) of the certificate.")
    ] = None,
    hostname: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Host name that clients use for this server; repeatable.",
        ),
    ] = None,
    slots: Annotated[
        int,
        typer.Option(
            min=1,
            max=10_000,
            help="Maximum number of concurrent requests of a run; above 900, more "
            "load generators are started.",
        ),
    ] = 256,
    data: Annotated[
        str | None,
        typer.Option(
            "--data-dir",
            metavar="DIR",
            help="Directory for profiles and runs. [TM_DATA_DIR, .tm in the project]",
        ),
    ] = None,
    max_rps: Annotated[
        str | None,
        typer.Option(
            metavar="RATE",
            help="Requests per second of all runs together; what a curve has above it is cut off. "
            "[TM_MAX_RPS, no limit]",
        ),
    ] = None,
    max_profile_rps: Annotated[
        str | None,
        typer.Option(
            metavar="RATE", help="Requests per second of one run. [TM_MAX_PROFILE_RPS, 10000]"
        ),
    ] = None,
    max_concurrent_runs: Annotated[
        str | None,
        typer.Option(metavar="N", help="Runs at the same time. [TM_MAX_CONCURRENT_RUNS, 4]"),
    ] = None,
    max_profiles: Annotated[
        str | None, typer.Option(metavar="N", help="Profiles. [TM_MAX_PROFILES, 1000]")
    ] = None,
    max_variables_sets: Annotated[
        str | None,
        typer.Option(metavar="N", help="Variables sets. [TM_MAX_VARIABLES_SETS, 100]"),
    ] = None,
    max_request_bytes: Annotated[
        str | None,
        typer.Option(
            metavar="BYTES",
            help="Body and headers of a profile. [TM_MAX_REQUEST_BYTES, no limit]",
        ),
    ] = None,
    history_retention_days: Annotated[
        str | None,
        typer.Option(
            metavar="DAYS",
            help="Delete runs from the history after so many days, except pinned baselines. "
            "[TM_HISTORY_RETENTION_DAYS, never]",
        ),
    ] = None,
    monthly_requests: Annotated[
        str | None,
        typer.Option(
            metavar="N",
            help="Requests that runs may send in a calendar month. [TM_MONTHLY_REQUESTS, no limit]",
        ),
    ] = None,
    requests_per_minute: Annotated[
        str | None,
        typer.Option(
            metavar="N",
            help="API requests in a minute, of all clients. [TM_REQUESTS_PER_MINUTE, no limit]",
        ),
    ] = None,
    locustfile: options.Locustfiles = None,
    allow_public_targets: options.AllowPublicTargets = False,
    require_verified_domains: Annotated[
        bool,
        typer.Option(
            "--require-verified-domains",
            help="Send load only to verified domains and to this machine. "
            "[TM_REQUIRE_VERIFIED_DOMAINS]",
        ),
    ] = False,
    capture_sources: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="TOML file with the servers that captures are read from. [TM_CAPTURE_SOURCES]",
        ),
    ] = None,
    exit_when_unused: Annotated[bool, typer.Option("--exit-when-unused", hidden=True)] = False,
) -> int:
    """Run the embedded server: the TrafficMorph API and a load generator on this machine.

    With a certificate it also serves other machines, so that agents (`tm agent`) can join and
    share the load; commands on this machine then use a separate port on loopback. Behind a TLS
    proxy, keep 127.0.0.1 and set the proxy's host name with --hostname.

    tm serve --port 8092

    tm serve --host 0.0.0.0 --tls-cert cert.pem --tls-key key.pem --hostname load.example
    """
    try:
        from tm_cli.server.quota import Quota
        from tm_cli.server.server import ServeOptions
        from tm_cli.server.server import serve as run_server
    except ModuleNotFoundError as missing:
        raise ConfigurationError(
            f"the embedded server is not installed ({missing.name} is missing)",
            hint="pip install 'tm-cli[local]'",
        ) from None
    if data is not None and not data.strip():
        raise UsageError("--data-dir is empty")
    serve_options = ServeOptions(
        data_dir=session.context.cwd / expand_home(data, "--data-dir")
        if data
        else session.settings.find_data_dir(session.context.cwd),
        host=host,
        port=port,
        tls_cert=_path(session, tls_cert, "--tls-cert"),
        tls_key=_path(session, tls_key, "--tls-key"),
        hostnames=tuple(map(_host, hostname or ())),
        slots=slots,
        exit_when_unused=exit_when_unused,
        quota=Quota(
            max_rps=session.setting("max_rps", max_rps),
            profile_rps=session.setting("max_profile_rps", max_profile_rps),
            concurrent_runs=session.setting("max_concurrent_runs", max_concurrent_runs),
            profiles=session.setting("max_profiles", max_profiles),
            variables_sets=session.setting("max_variables_sets", max_variables_sets),
            request_bytes=session.setting("max_request_bytes", max_request_bytes),
            history_days=session.setting("history_retention_days", history_retention_days),
            monthly_requests=session.setting("monthly_requests", monthly_requests),
            requests_per_minute=session.setting("requests_per_minute", requests_per_minute),
        ),
        allow_public_targets=allow_public_targets or session.settings.value("allow_public_targets"),
        require_verified_domains=require_verified_domains
        or session.settings.value("require_verified_domains"),
        capture_sources=_capture_sources(session, capture_sources),
        ca_file=session.settings.value("ca_file"),
        locustfiles=options.read_locustfiles(session, locustfile),
    )
    run_server(serve_options, on_ready=lambda info: _announce(session, info))
    return int(ExitCode.OK)


def _announce(session: CommandContext, info: ServerInfo) -> None:
    if session.wants_json:
        values = {name: value for name, value in asdict(info).items() if value is not None}
        document = {name: _plain(value) for name, value in values.items()}
        session.terminal.write_result(jsonlib.dumps(document))
        return
    session.terminal.write_result(f"listening on {info.base_url}")
    if info.public_url:
        session.terminal.write_result(f"listening on {info.public_url} for other machines")
    key_file = shlex.quote(str(info.api_key_file))
    session.note(f'tm: export TM_BASE_URL={info.base_url} TM_API_KEY="$(cat {key_file})"')


def _host(text: str) -> str:
    """The name as clients send it; raises UsageError for what cannot be one."""
    try:
        return ascii_host(text)
    except ValueError as problem:
        raise UsageError(f"--hostname: {sanitize(problem)}") from None


def _path(session: CommandContext, given: Path | None, option: str) -> Path | None:
    return None if given is None else session.context.cwd / expand_home(given, option)


def _capture_sources(session: CommandContext, given: str | None) -> list[SourceDefinition]:
    from tm_cli.server.capture_sources.configuration import read_capture_sources

    name = session.setting("capture_sources", given)
    if name is None:
        return []
    path = session.context.cwd / expand_home(name, "--capture-sources")
    return read_capture_sources(path, session.context.environ)


def _plain(value: object) -> object:
    return value if isinstance(value, int) else str(value)
