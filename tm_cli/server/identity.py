"""The server's proof that it has the key, before clients send theirs."""

from __future__ import annotations

from dataclasses import dataclass, field

from starlette.datastructures import QueryParams
from starlette.types import Scope

from tm_cli.announcement import CHALLENGE, proof_of_identity
from tm_cli.server.refusal import Refusal


@dataclass(frozen=True, slots=True)
class IdentityProof:
    """Answers challenges with the key."""

    key: str = field(repr=False)

    def prove(self, query: QueryParams, scope: Scope) -> str:
        """Return the proof for the challenge of a request; raises Refusal when it has none.

        The address is the one of the connection, not what the request calls it.
        """
        challenge = query.get("challenge", "")
        if not CHALLENGE.fullmatch(challenge):
            raise Refusal("challenge must be 64 hexadecimal digits")
        host, port = scope["server"]
        return proof_of_identity(self.key.encode(), challenge, str(host), int(port))
