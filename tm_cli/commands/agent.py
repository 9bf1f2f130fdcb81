"""`tm agent`: a worker that generates load for a server on another machine."""

from __future__ import annotations

import asyncio
import socket
import ssl
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tm_cli.cli import options
from tm_cli.cli.app import App
from tm_cli.cli.session import CommandContext, with_session
from tm_cli.errors import ConfigurationError, UsageError
from tm_cli.exit_codes import ExitCode
from tm_cli.values.urls import LOCAL, is_plain_http

if TYPE_CHECKING:
    from tm_cli.server.agent.options import AgentOptions
    from tm_cli.settings import Settings

app = App()


@app.command("agent")
@with_session
def run_agent(
    session: CommandContext,
    server: Annotated[
        str | None,
        typer.Option(metavar="URL", help="URL of the `tm serve` to join. [TM_BASE_URL]"),
    ] = None,
    region: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Region to join; runs select it with --region. [TM_REGION]"
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Name of this agent. [host name]"),
    ] = None,
    workers: Annotated[
        int,
        typer.Option(
            min=1,
            max=64,
            help="Number of workers; each takes a share of every run and uses up to one core.",
        ),
    ] = 1,
    locustfile: options.Locustfiles = None,
    client_certificate: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE",
            help="Client certificate or key that runs may use, as profiles name it; repeatable.",
        ),
    ] = None,
    allow_public_targets: options.AllowPublicTargets = False,
) -> int:
    """Generate load for a server on another machine until Ctrl-C or SIGTERM.

    The agent joins a region of the server and takes a share of every run that is started there.
    Everyone with the server's key can decide what it sends; it refuses targets with public
    addresses unless --allow-public-targets is given. If the connection is lost, it stops its load
    at once and reconnects.

    tm agent --server https://load.example:8092 --region eu-west
    """
    flags = {"base_url": server, "region": region}
    given = {name: value for name, value in flags.items() if value is not None}
    settings = replace(session.settings, flags={**session.flags, **given})
    allow_public = allow_public_targets or settings.value("allow_public_targets")
    try:
        from tm_cli.server.agent.agent import Agent

        files = options.read_locustfiles(session, locustfile)
        agent_options = _options(settings, name, workers=workers, allow_public=allow_public)
        certificates = _certificates(session, client_certificate or [])
        agent_options = replace(agent_options, locustfiles=files, certificates=certificates)
    except ModuleNotFoundError as missing:
        raise ConfigurationError(
            f"agents are not installed ({missing.name} is missing)",
            hint="pip install 'tm-cli[local]'",
        ) from None
    agent = Agent(agent_options, lambda text: session.note(f"tm: {text}"))
    asyncio.run(agent.run(asyncio.Event()))
    session.note(f"tm: {agent_options.region}/{agent_options.name} has left {agent_options.server}")
    return int(ExitCode.OK)


def _options(
    settings: Settings, name: str | None, *, workers: int, allow_public: bool
) -> AgentOptions:
    from tm_cli.server.agent.options import AgentOptions
    from tm_cli.server.workers.agent_protocol import agent_name, agent_refusal, region_refusal
    from tm_cli.settings import TRAFFICMORPH

    region = settings.value("region")
    if region is None:
        raise UsageError("--region is missing: it names the region to join")
    called = name or agent_name(socket.gethostname())
    if refusal := region_refusal(region) or agent_refusal(called):
        raise UsageError(refusal)
    url = _server(settings)
    return AgentOptions(
        server=url,
        key=settings.key,
        read_key_again=settings.endpoint(TRAFFICMORPH).read_key_again,
        region=region,
        name=called,
        workers=workers,
        allow_public_targets=allow_public,
        tls=None if is_plain_http(url) else _tls(settings.value("ca_file")),
        ca_file=settings.value("ca_file"),
    )


def _certificates(session: CommandContext, named: list[str]) -> list[Path]:
    from tm_cli.server.engine.http1.client_certificate import UnusableCertificate, check_file

    paths = [session.context.cwd / text for text in named]
    try:
        for path in paths:
            check_file(str(path.absolute()))
    except UnusableCertificate as problem:
        raise ConfigurationError(f"--client-certificate: {problem}") from None
    return paths


def _server(settings: Settings) -> str:
    if settings.server in (None, LOCAL):
        raise ConfigurationError(
            "no server is configured", hint="name the one to work for with --server URL"
        )
    return settings.server


def _tls(ca_file: str | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as problem:
        raise ConfigurationError(f"cannot use the certificates in {ca_file}: {problem}") from None
