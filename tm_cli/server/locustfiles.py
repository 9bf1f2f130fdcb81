"""Which locustfiles this machine plays: to run one is to run code."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tm_cli.runtime.locustfile import (
    UnusableLocustfile,
    check_directory,
    check_trusted,
    hash_of,
    read_locustfile,
)
from tm_cli.server.engine.locustfiles.reference import (
    JobLocustfile,
    LocustfilePlace,
    LocustfileReference,
)
from tm_cli.server.web.bodies import Refusal
from tm_cli.server.web.schemas import LocustfileSource


@dataclass(frozen=True, slots=True)
class Locustfiles:
    """The files that this machine's owner has `named`, by options of `command`; with `takes_paths`
    also those that a start names.

    `own_ports` of this machine and `servers` (address and port) are not to be connected to, public
    addresses only with `allow_public`. Named files get their variables from `environ`.
    """

    named: Sequence[Path] = ()
    command: str = "tm serve"
    takes_paths: bool = False
    allow_public: bool = False
    own_ports: frozenset[int] = frozenset()
    servers: frozenset[tuple[str, int]] = frozenset()
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)

    def job(
        self, wanted: LocustfileReference, source: LocustfileSource | None = None
    ) -> JobLocustfile:
        """The locustfile of a job with its place here; raises `Refusal`."""
        reference = wanted.model_dump(exclude={"place"})
        return JobLocustfile(**reference, place=self._place(wanted, source))

    def _place(
        self, wanted: LocustfileReference, source: LocustfileSource | None
    ) -> LocustfilePlace:
        rule = LocustfilePlace(
            path="",
            allow_public=self.allow_public,
            own_ports=self.own_ports,
            servers=self.servers,
        )
        if path := self._named(wanted.sha256):
            variables = {name: self.environ[name] for name in wanted.env if name in self.environ}
            return rule.model_copy(update={"path": str(path), "variables": variables})
        if source is None or not self.takes_paths:
            raise Refusal(self._unknown(wanted))
        path = Path(source.path).resolve()
        try:
            check_trusted(path, self.environ)
            if source.directory is not None:
                check_directory(Path(source.directory), self.environ)
            read_locustfile(path, wanted.sha256)
        except UnusableLocustfile as problem:
            raise Refusal(f"locustfile: {problem}") from None
        variables = {name: text for name, text in source.variables.items() if name in wanted.env}
        known = {"path": str(path), "directory": source.directory, "variables": variables}
        return rule.model_copy(update=known)

    def _named(self, sha256: str) -> Path | None:
        for path in self.named:
            try:
                if hash_of(read_locustfile(path)) == sha256:
                    return path
            except UnusableLocustfile:
                continue
        return None

    def _unknown(self, wanted: LocustfileReference) -> str:
        known = [f"{path.name} ({self._hash(path)})" for path in self.named]
        if known:
            has = (
                f"it has {', '.join(known)}, as they are now; bring one up to date, or name this "
                f"file there, too: `{self.command} --locustfile FILE`"
            )
        elif self.takes_paths:
            has = "start the run with the file: `tm runs start FILE`"
        else:
            has = (
                "it plays only what its owner names there, because other machines use it: "
                f"`{self.command} --locustfile FILE`"
            )
        return (
            f"locustfile: {wanted.file} with the SHA-256 {wanted.sha256} is not on the machine "
            f"that sends the load; {has}"
        )

    def _hash(self, path: Path) -> str:
        try:
            return hash_of(read_locustfile(path))
        except UnusableLocustfile as problem:
            return str(problem)
