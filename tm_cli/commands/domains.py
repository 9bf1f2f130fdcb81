"""`tm domains`: hosts whose owner has agreed to load."""

from __future__ import annotations

import ipaddress
import shlex
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from tm_cli.cli import options
from tm_cli.cli.app import App
from tm_cli.cli.global_options import group
from tm_cli.cli.session import CommandContext, with_session
from tm_cli.commands.shared.lists import ListOptions, ListView, show_list
from tm_cli.commands.shared.refusals import refused
from tm_cli.errors import Refused, UsageError
from tm_cli.values.text import did_you_mean, sanitize
from tm_cli.values.urls import comparable_host

if TYPE_CHECKING:
    from tm_cli.api.trafficmorph import Domain

app = App()

DomainName = Annotated[
    str, typer.Argument(metavar="DOMAIN", help="Name or id of a domain.", show_default=False)
]
Method = Literal["dns", "http"]

_FILE = ".well-known/trafficmorph-verify.txt"


@app.callback()
@group
def domains() -> None:
    """List, add, verify and delete domains that load may be sent to."""


@app.command("list")
@with_session
def list_domains(session: CommandContext, listing: ListOptions) -> int:
    """List the domains of the server.

    tm domains list
    """
    from tm_cli.api.trafficmorph import Domain
    from tm_cli.render.tables import instant

    view = ListView[Domain](
        noun="domains",
        columns={
            "ID": lambda each: each.id,
            "DOMAIN": lambda each: each.domain,
            "VERIFIED": lambda each: (each.verification_method or "yes") if each.verified else "no",
            "SINCE": lambda each: instant(each.verified_at),
            "CREATED": lambda each: instant(each.created_at),
        },
        fields=Domain.field_names(),
        least=("CREATED", "SINCE"),
    )
    return show_list(session, listing, view, session.client.list_domains)


@app.command("show")
@with_session
def show(session: CommandContext, name: DomainName) -> int:
    """Show a domain, and what verifies it.

    tm domains show shop.example
    """
    found = _find(session, name)
    return session.emit(found.document(), lambda: _described(found))


@app.command("add")
@with_session
def add(
    session: CommandContext,
    domain: Annotated[
        str,
        typer.Argument(
            metavar="DOMAIN", help="Host name without scheme, port and path.", show_default=False
        ),
    ],
) -> int:
    """Add a domain and print what to install for its verification, ready to paste.

    A domain that is known already keeps its token.

    tm domains add shop.example
    """
    if not domain.strip():
        raise UsageError("DOMAIN is empty")
    with refused(f"add {sanitize(domain)}"):
        added = session.client.add_domain(domain.strip())
    return session.emit(added.document(), lambda: _described(added))


@app.command("verify")
@with_session
def verify(
    session: CommandContext,
    method: Annotated[
        Method, typer.Argument(metavar="dns|http", help="Where the token is.", case_sensitive=False)
    ],
    name: DomainName,
) -> int:
    """Let the server look for the token of a domain, in DNS or on its web server.

    It looks once. Without the token it says what it has found instead. A domain that is verified
    stays so.

    tm domains verify dns shop.example
    """
    found = _find(session, name)
    with refused(f"verify {sanitize(found.domain)}", hint=_how_to_look(found, method)):
        verified = session.client.verify_domain(found.id, method)
    return session.emit(verified.document(), lambda: _described(verified))


@app.command("delete")
@with_session
def delete(session: CommandContext, name: DomainName, yes: options.Yes = False) -> int:
    """Delete a domain; where verification is required, runs that need it no longer start.

    tm domains delete shop.example --yes
    """
    found = _find(session, name)
    shown = sanitize(found.domain)
    options.confirm_deletion(session, f"the domain {shown}", yes=yes)
    with refused(f"delete the domain {shown}"):
        session.client.delete_domain(found.id)
    return session.emit(
        {"domain_id": found.id, "domain": found.domain}, lambda: f"deleted the domain {shown}"
    )


def _find(session: CommandContext, text: str) -> Domain:
    """Return the domain with this id or name; raises Refused without one."""
    wanted = text.strip()
    if not wanted:
        raise UsageError("DOMAIN is empty")
    found = session.client.list_domains()
    for domain in found:
        if wanted == str(domain.id) or comparable_host(wanted) == comparable_host(domain.domain):
            return domain
    near = did_you_mean(wanted, [domain.domain for domain in found], "`tm domains list` shows them")
    raise Refused(f"there is no domain {sanitize(wanted)!r}", hint=sanitize(near))


def _described(found: Domain) -> str:
    from tm_cli.render.tables import instant

    name = sanitize(found.domain)
    if found.verified:
        by = f" by {sanitize(found.verification_method)}" if found.verification_method else ""
        since = f" since {moment}" if (moment := instant(found.verified_at)) else ""
        return f"{name} (domain {found.id}) is verified{by}{since}"
    token = sanitize(found.verification_token or "")
    by_file = (
        f"Make a file on its web server, then run `tm domains verify http {shlex.quote(name)}`:",
        "",
        f"  mkdir -p .well-known && echo {shlex.quote(token)} > {_FILE}",
        "",
        f"The file is expected at {_url(name)}, or there over http.",
    )
    if _is_address(name):  # which has no records
        return "\n".join((f"{name} (domain {found.id}) is not verified.", "", *by_file))
    text = token.replace("\\", "\\\\").replace('"', '\\"')
    by_record = (
        f"Add a TXT record, then run `tm domains verify dns {shlex.quote(name)}`:",
        "",
        f'  _trafficmorph-verify.{name}. 300 IN TXT "{text}"',
    )
    head = f"{name} (domain {found.id}) is not verified; do one of the two:"
    return "\n".join((head, "", *by_record, "", *by_file))


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _url(name: str) -> str:
    return f"https://{f'[{name}]' if ':' in name else name}/{_FILE}"


def _how_to_look(found: Domain, method: Method) -> str:
    name = sanitize(found.domain)
    if method == "http":
        return f"see what is there: curl -i {shlex.quote(_url(name))}"
    return (
        "records take a while to reach all name servers; see what is there: "
        f"dig +short TXT {shlex.quote(f'_trafficmorph-verify.{name}')}"
    )
