"""What the first line makes of the engine's process: a master, or one of its workers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from tm_cli.server.engine.job import EngineJob, JobError, reasons

MAX_WORKERS = 64

Key = Annotated[str, Field(min_length=40, max_length=40)]
"""A key of CURVE, RFC 26, in the Z85 encoding."""


class _Line(BaseModel):
    # an error must not show the keys
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class MasterKeys(_Line):
    """The master's secret, and the public key of those who may connect."""

    secret: Key = Field(repr=False)
    worker: Key


class WorkerKeys(_Line):
    """The pair of the workers, and the public key of the only master that they talk to."""

    public: Key
    secret: Key = Field(repr=False)
    master: Key


class MasterRole(_Line):
    """The master of a run: `workers` are their labels, `senders` the senders of all together.

    It listens on loopback and says on which port.
    """

    job: EngineJob
    workers: Annotated[list[str], Field(min_length=1, max_length=MAX_WORKERS)]
    senders: Annotated[int, Field(ge=1)]
    keys: MasterKeys

    @model_validator(mode="after")
    def _has_distinct_workers(self) -> MasterRole:
        if len(set(self.workers)) != len(self.workers):
            raise ValueError("workers: two have the same label")
        return self

    def to_line(self) -> str:
        """The first line of the process; it holds keys, so it is for standard input alone."""
        return json.dumps({"master": self.model_dump(mode="json")})


class WorkerRole(_Line):
    """A worker of a run: where its master is reached, and what this host permits.

    It loads no target that this host's own rule does not allow: none at a public address without
    `allow_public`, and not the `server` itself. It runs no code but that of the `locustfiles` that
    this host's owner has named, which may read some of the `variables`, and reads no client
    certificate but `certificates`. Only a worker on the server's machine `trusts_addresses`, and
    paths of files, that the master names. `ca_file` has certificates of targets to trust.
    """

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65535)]
    name: str
    keys: WorkerKeys
    allow_public: bool = False
    server: str | None = None
    ca_file: str | None = None
    trusts_addresses: bool = False
    locustfiles: tuple[str, ...] = ()
    certificates: tuple[str, ...] = ()
    variables: dict[str, str] = Field(default_factory=dict, repr=False)

    def to_line(self) -> str:
        """The first line of the process; it holds keys, so it is for standard input alone."""
        return json.dumps({"worker": self.model_dump(mode="json")})


def run_keys() -> tuple[MasterKeys, WorkerKeys]:
    """New keys for one run; OSError where the installed ZeroMQ cannot encrypt."""
    import zmq

    if not zmq.has("curve"):
        raise OSError(
            "several load generators need an encrypted connection, and the installed pyzmq has "
            "none (CURVE); reinstall it from a wheel: pip install --force-reinstall pyzmq"
        )
    master_public, master_secret = (key.decode() for key in zmq.curve_keypair())
    worker_public, worker_secret = (key.decode() for key in zmq.curve_keypair())
    return (
        MasterKeys(secret=master_secret, worker=worker_public),
        WorkerKeys(public=worker_public, secret=worker_secret, master=master_public),
    )


_ROLES: dict[str, type[MasterRole | WorkerRole]] = {"master": MasterRole, "worker": WorkerRole}


def read_role(lines: Iterator[bytes]) -> EngineJob | MasterRole | WorkerRole:
    """What the first line asks for; JobError if there is none or it is invalid."""
    line = next(lines, None)
    if line is None:
        raise JobError("standard input ended before the job came")
    try:
        document = json.loads(line)
    except (ValueError, RecursionError):
        document = None
    for name, kind in _ROLES.items():
        if isinstance(document, dict) and name in document:
            try:
                return kind.model_validate(document[name])
            except ValidationError as error:
                raise JobError(f"the {name}'s first line is invalid: {reasons(error)}") from None
    return EngineJob.from_line(line)
