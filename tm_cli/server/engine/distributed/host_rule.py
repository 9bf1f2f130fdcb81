"""What a worker's own machine permits, whatever its master asks for."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tm_cli.server.engine.distributed.roles import WorkerRole
from tm_cli.server.engine.job import EngineJob
from tm_cli.server.engine.locustfiles.reference import JobLocustfile
from tm_cli.server.profiles import ClientCertificate
from tm_cli.server.quota import HIGHEST_RATE
from tm_cli.server.targets import TargetRule
from tm_cli.server.web.bodies import Refusal
from tm_cli.values.text import sanitize
from tm_cli.values.urls import port_of


async def allowed(job: EngineJob, role: WorkerRole) -> dict[str, Any]:
    """The fields that this machine decides, before it plays a job; raises `Refusal`.

    A master on another machine has no say in which code is run and which certificates are trusted
    here, nor in which addresses are loaded. A response script, which runs in a sandbox, is allowed.
    """
    if (highest := job.curve.highest_rate) > HIGHEST_RATE * (1 + 1e-9):
        raise Refusal(
            f"the highest rate of the curve is {highest:,.0f} requests per second, "
            f"the limit is {HIGHEST_RATE:,}"
        )
    changes: dict[str, Any] = {"ca_file": role.ca_file}
    if role.trusts_addresses:
        return changes
    changes |= await _addresses(job, role)
    if job.client_certificate:
        changes["client_certificate"] = _own_certificate(job.client_certificate, role)
    if job.locustfile:
        changes["locustfile"] = _own_locustfile(job.locustfile, role)
    return changes


async def _addresses(job: EngineJob, role: WorkerRole) -> dict[str, Any]:
    """Everything that a job may connect to, with addresses that were judged here."""
    rule = TargetRule(allow_public=role.allow_public, server=role.server)
    found: dict[str, Any] = {
        "addresses": await rule.check(job.target_url),
        "origins": [
            {"url": each.url, "addresses": await rule.check(each.url)} for each in job.origins
        ],
    }
    if job.probe and job.probe.url:
        addresses = await rule.check(job.probe.url)
        found["probe"] = {**job.probe.model_dump(), "addresses": addresses}
    if job.against:
        addresses = await rule.check(job.against.target_url)
        found["against"] = {**job.against.model_dump(), "addresses": addresses}
    return found


def _own_certificate(wanted: ClientCertificate, role: WorkerRole) -> dict[str, Any]:
    """The files as this machine's owner has named them, however the master writes their paths.

    Others are refused: with these the master could prove to any target who we are.
    """
    own = {os.path.realpath(path): path for path in role.certificates}
    document = wanted.model_dump()
    for field in ("cert", "key"):
        if (name := document[field]) is not None:
            document[field] = own.get(_real_path(name))
            if document[field] is None:
                raise Refusal(
                    f"clientCertificate: this agent does not permit {sanitize(name)}; "
                    "`tm agent --client-certificate FILE` names what runs may use"
                )
    return document


def _real_path(name: str) -> str:
    try:
        return os.path.realpath(name)
    except ValueError:  # it has a null character
        return name


def _own_locustfile(wanted: JobLocustfile, role: WorkerRole) -> dict[str, Any]:
    """The file where this machine has it; a path that a master names would be code of its own."""
    from tm_cli.server.locustfiles import Locustfiles  # its imports take long

    known = Locustfiles(
        [Path(path) for path in role.locustfiles],
        command="tm agent",
        allow_public=role.allow_public,
        servers=_servers(role.server),
        environ=role.variables,
    )
    return known.job(wanted).model_dump(mode="json")


def _servers(url: str | None) -> frozenset[tuple[str, int]]:
    """The addresses of the server, as far as this machine can resolve its name."""
    if url is None:
        return frozenset()
    parts = urlsplit(url)
    port = port_of(parts)
    with suppress(OSError, UnicodeError):
        found = socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
        return frozenset((str(entry[4][0]), port) for entry in found)
    return frozenset()
