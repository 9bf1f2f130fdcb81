"""Domains: list, add, verify by DNS or HTTP, remove."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tm_cli.server.domains.rule import read_domain
from tm_cli.server.domains.verification import Method, dns_instruction, http_instruction
from tm_cli.server.profiles import Wire
from tm_cli.server.store.domains import StoredDomain
from tm_cli.server.web.bodies import Refusal, read_model
from tm_cli.server.web.services import Services, path_id


class AddDomain(Wire):
    domain: Annotated[str, Field(json_schema_extra={"minLength": 1, "format": "domain"})]

    @field_validator("domain")
    @classmethod
    def _bare(cls, text: str) -> str:
        return read_domain(text)


async def list_domains(request: Request) -> Response:
    return JSONResponse([_record(domain) for domain in Services.of(request).domains.all()])


async def add(request: Request) -> Response:
    """Register a domain; a known one keeps its token."""
    asked = await read_model(request, AddDomain)
    return JSONResponse(_record(Services.of(request).domains.add(asked.domain)), 201)


async def _verify(request: Request, method: Method) -> Response:
    """Look for the token now; what is verified already stays so without another look."""
    services = Services.of(request)
    domain = _found(services, request)
    if domain.verified_at is None:
        await services.domain_verifier.verify(domain.domain, domain.token, method)
        services.domains.mark_verified(domain.id, method)
        domain = _found(services, request)  # unless it has been removed
    return JSONResponse(_record(domain))


async def remove(request: Request) -> Response:
    if not Services.of(request).domains.delete(path_id(request)):
        raise Refusal("Domain not found")
    return Response(status_code=204)


def _found(services: Services, request: Request) -> StoredDomain:
    domain = services.domains.find(path_id(request))
    if domain is None:
        raise Refusal("Domain not found")
    return domain


def _record(domain: StoredDomain) -> dict[str, object]:
    # the official Python client cannot read a null time
    verified = {"verifiedAt": domain.verified_at} if domain.verified_at else {}
    return verified | {
        "id": domain.id,
        "domain": domain.domain,
        "verificationToken": domain.token,
        "verificationMethod": domain.method,
        "verified": domain.verified_at is not None,
        "createdAt": domain.created_at,
        "dnsInstruction": dns_instruction(domain.domain, domain.token),
        "httpInstruction": http_instruction(domain.domain, domain.token),
    }


async def verify_dns(request: Request) -> Response:
    return await _verify(request, "DNS")


async def verify_http(request: Request) -> Response:
    return await _verify(request, "HTTP")


ROUTES = [
    Route("/domains", list_domains, methods=["GET"]),
    Route("/domains", add, methods=["POST"]),
    Route("/domains/{id}/verify/dns", verify_dns, methods=["POST"]),
    Route("/domains/{id}/verify/http", verify_http, methods=["POST"]),
    Route("/domains/{id}", remove, methods=["DELETE"]),
]
