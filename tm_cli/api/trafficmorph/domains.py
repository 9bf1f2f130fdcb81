"""Domains that runs may be aimed at, once their owner has shown that they are theirs."""

from __future__ import annotations

from pydantic import StrictBool, StrictInt, StrictStr

from tm_cli.api.client import Instant, Lenient
from tm_cli.api.trafficmorph.fields import CamelCasePayload


class Domain(CamelCasePayload):
    """A domain; one token serves both methods of verification."""

    id: StrictInt
    domain: StrictStr
    verification_token: Lenient[StrictStr] = None
    verification_method: Lenient[StrictStr] = None
    verified: Lenient[StrictBool] = None
    verified_at: Instant = None
    created_at: Instant = None
    dns_instruction: Lenient[StrictStr] = None
    http_instruction: Lenient[StrictStr] = None
