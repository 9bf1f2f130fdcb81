"""What a worker's own machine permits, whatever its master asks for."""

from __future__ import annotations

from typing import Any

from tm_cli.server.engine.distributed.roles import WorkerRole
from tm_cli.server.engine.job import EngineJob, rate_refusal
from tm_cli.server.targets import TargetRule
from tm_cli.server.web.bodies import Refusal

MAX_RATE = 10_000.0
"""Requests per second of a run; a server refuses more."""


async def allowed(job: EngineJob, role: WorkerRole) -> dict[str, Any]:
    """The fields that this machine decides, before it plays a job; raises `Refusal`.

    A master on another machine has no say in which code is run and which certificates are trusted
    here, nor in which addresses are loaded.
    """
    if refusal := rate_refusal(job, MAX_RATE):
        raise Refusal(refusal)
    changes: dict[str, Any] = {"ca_file": role.ca_file}
    if role.trusts_addresses:
        return changes
    rule = TargetRule(allow_public=role.allow_public, server=role.server)
    changes["addresses"] = await rule.check(job.target_url)
    if job.probe and job.probe.url:
        addresses = await rule.check(job.probe.url)
        changes["probe"] = {**job.probe.model_dump(), "addresses": addresses}
    if job.against:
        addresses = await rule.check(job.against.target_url)
        changes["against"] = {**job.against.model_dump(), "addresses": addresses}
    if job.locustfile:
        from tm_cli.server.locustfiles import Locustfiles  # its imports take long

        named = Locustfiles(role.locustfiles, allow_public=role.allow_public, environ=role.environ)
        changes["locustfile"] = named.job(job.locustfile)
    return changes
