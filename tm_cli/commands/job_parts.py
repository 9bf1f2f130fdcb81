"""Reading the parts of one run that `tm jobs` shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tm_cli.commands import job_options
from tm_cli.commands.session import Session

if TYPE_CHECKING:
    from tm_cli.api.strait.models import Page


def read_page(session: Session, run: str, part: str, **query: str | None) -> Page:
    """Return what the server can list of a part; tells when that is not all."""
    from tm_cli.api.strait.client import LARGEST_PAGE
    from tm_cli.commands.job_server import not_found_as_error, open_client

    job_options.check_run_id(run)
    client = open_client(session)
    with not_found_as_error(run):
        page = client.list_part(run, part, **query)
    if page.has_more or page.next_cursor:
        session.terminal.note(
            f"tm: there are more than {LARGEST_PAGE}, and the server cannot list the rest"
        )
    return page


def read_part(session: Session, run: str, part: str) -> Any:
    """Return a part that is no list."""
    from tm_cli.commands.job_server import not_found_as_error, open_client

    job_options.check_run_id(run)
    client = open_client(session)
    with not_found_as_error(run):
        return client.get_part(run, part)


def describe_members(document: Any) -> str:
    """Return a line per member of an object, or per item of a list."""
    from tm_cli.commands.job_tables import member_lines, value_text

    if isinstance(document, Mapping):
        return "\n".join(member_lines(document))
    items = document if isinstance(document, list) else [document]
    return "\n".join(value_text(item) or "-" for item in items)
