"""Tools for the account: its limits, and the regions and domains that its runs may use."""

from __future__ import annotations

from typing import Any, Literal

from tm_cli.mcp.schema import Answer, Effect, Tool, published, text, whole
from tm_cli.mcp.session import CallSession


def get_account(session: CallSession, arguments: dict[str, Any]) -> Any:
    return session.client.get_account().document()


def list_regions(session: CallSession, arguments: dict[str, Any]) -> Any:
    return [region.document() for region in session.client.list_regions()]


ACCOUNT_TOOLS: tuple[Tool, ...] = (
    published(
        "tm_get_account",
        "Get limits and usage",
        "Get the plan, limits, usage and features of the account. A limit of 0 means no cap for "
        "rates, concurrent runs and sizes, and none allowed for the others; includedRequests 0 "
        "means that there is no quota.",
        Effect.READS,
        get_account,
    ),
    published(
        "tm_list_regions",
        "List regions",
        "List where load can be generated: regionCode (for tm_start_run), displayName, isLocal, "
        "and how many load generators are there and connected.",
        Effect.READS,
        list_regions,
    ),
)


def list_domains(session: CallSession, arguments: dict[str, Any]) -> Any:
    return [domain.document() for domain in session.client.list_domains()]


def add_domain(session: CallSession, arguments: dict[str, Any]) -> Any:
    return session.client.add_domain(arguments["domain"].strip()).document()


def verify(method: Literal["dns", "http"]) -> Answer:
    """Return what lets the server look for the token of a domain."""

    def answer(session: CallSession, arguments: dict[str, Any]) -> Any:
        return session.client.verify_domain(arguments["domain_id"], method).document()

    return answer


def delete_domain(session: CallSession, arguments: dict[str, Any]) -> Any:
    session.client.delete_domain(arguments["domain_id"])
    return {"domain_id": arguments["domain_id"], "deleted": True}


ONE_DOMAIN = {"domain_id": whole("Id of the domain, from tm_list_domains.")}

DOMAIN_TOOLS: tuple[Tool, ...] = (
    published(
        "tm_list_domains",
        "List domains",
        "List the registered domains: whether each is verified, its token, and what to install as "
        "dnsInstruction and httpInstruction. Runs may be aimed at verified ones only.",
        Effect.READS,
        list_domains,
    ),
    published(
        "tm_add_domain",
        "Register a domain",
        "Register a domain. Returns its token and what to install, as a DNS record or as a file on "
        "its web server: show that to the user, wait, and then verify. A known domain is returned "
        "as it is.",
        Effect.SETS,
        add_domain,
        {
            "domain": text(
                "Host name without scheme, port and path, such as api.example.com.",
                longest=255,
                pattern=r"\S",
            )
        },
        ("domain",),
    ),
    published(
        "tm_verify_domain_dns",
        "Verify a domain by DNS",
        "Let the server look for the TXT record of a domain. An error says what is expected where: "
        "tell the user instead of trying again, because DNS takes time.",
        Effect.SETS,
        verify("dns"),
        ONE_DOMAIN,
        ("domain_id",),
    ),
    published(
        "tm_verify_domain_http",
        "Verify a domain by HTTP",
        "Let the server fetch the file of a domain. An error says what is expected where: tell the "
        "user instead of trying again.",
        Effect.SETS,
        verify("http"),
        ONE_DOMAIN,
        ("domain_id",),
    ),
    published(
        "tm_delete_domain",
        "Delete a domain",
        "Delete a registered domain. Profiles aimed at it stay, but cannot run any more.",
        Effect.CHANGES,
        delete_domain,
        ONE_DOMAIN,
        ("domain_id",),
    ),
)
