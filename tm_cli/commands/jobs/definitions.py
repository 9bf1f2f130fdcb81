"""`tm jobs definitions`: the jobs themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tm_cli.cli.app import App
from tm_cli.cli.global_options import group
from tm_cli.cli.session import CommandContext, with_session
from tm_cli.commands.jobs import options
from tm_cli.errors import UsageError

if TYPE_CHECKING:
    from tm_cli.api.strait import JobDefinition

app = App()

SECRETS = frozenset({"webhook_secret", "endpoint_signing_secret"})
COLUMNS = {
    "JOB": "id",
    "SLUG": "slug",
    "NAME": "name",
    "ENABLED": "enabled",
    "PAUSED": "paused",
    "VERSION": "version",
}


@app.callback()
@group
def definitions() -> None:
    """List, show and create jobs."""


@app.command("list")
@with_session
def list_jobs(
    session: CommandContext,
    slug: Annotated[str | None, typer.Option(metavar="SLUG", help="Filter by slug.")] = None,
    tag: options.TagFilter = None,
    limit: options.Limit = 50,
    cursor: options.Cursor = None,
    project: options.Project = None,
) -> int:
    """List the project's jobs, newest first.

    tm jobs definitions list --tag team=core
    """
    from tm_cli.api.strait import collect
    from tm_cli.commands.jobs.client import open_client
    from tm_cli.commands.jobs.list import item_table, note_rest

    key, equals, value = (tag or "").partition("=")
    query = {"slug": slug, "tag_key": key or None, "tag_value": value if equals else None}
    client = open_client(session, project)
    page = collect(
        lambda after, size: client.list_jobs(**query, cursor=after, limit=size),
        most=limit,
        cursor=cursor,
    )
    note_rest(session, page)
    page = page.model_copy(update={"data": [_without_secrets(job) for job in page.data]})
    return session.emit(page.document(), lambda: item_table(session.terminal, page.data, COLUMNS))


@app.command("show")
@with_session
def show(
    session: CommandContext,
    job: options.JobName,
) -> int:
    """Show a job.

    tm jobs definitions show nightly-export
    """
    from tm_cli.commands.jobs.client import find_job, open_client

    client = open_client(session)
    return _emit(session, client.get_job(find_job(client, job).job_id))


@app.command("create")
@with_session
def create(
    session: CommandContext,
    description: Annotated[
        str,
        typer.Argument(
            metavar="FILE|JSON", help="Job definition: project_id, name, slug, endpoint_url, ..."
        ),
    ],
) -> int:
    """Create a job.

    tm jobs definitions create nightly-export.json
    """
    document = options.read_payload(description, session.context.cwd)
    if not isinstance(document, dict):
        raise UsageError("the description of a job is a JSON object")
    from tm_cli.commands.jobs.client import open_client

    return _emit(session, open_client(session).create_job(document))


def _emit(session: CommandContext, job: JobDefinition) -> int:
    from tm_cli.commands.jobs.list import member_lines
    from tm_cli.values.text import sanitize

    document = _without_secrets(job.document())
    rest = {name: value for name, value in document.items() if name != "id"}
    return session.emit(document, lambda: "\n".join([sanitize(job.id), *member_lines(rest)]))


def _without_secrets(job: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what signs requests in the server's name."""
    return {name: value for name, value in job.items() if name not in SECRETS}
