"""`tm init`: a profile document, settings and a pipeline, in one step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from tm_cli.cli.app import App
from tm_cli.cli.session import CommandContext, with_session
from tm_cli.completion.candidates import complete_verdicts
from tm_cli.errors import UsageError

if TYPE_CHECKING:
    from tm_cli.setup.answers import Answers
    from tm_cli.setup.plan import Change

app = App()


@app.command("init")
@with_session
def init(
    session: CommandContext,
    system: Annotated[
        Literal["runs", "benchmarks", "jobs"] | None,
        typer.Option(
            metavar="SYSTEM",
            case_sensitive=False,
            help="What to gate on, load tests by default. [runs]",
        ),
    ] = None,
    url: Annotated[str | None, typer.Option(metavar="URL", help="URL to test.")] = None,
    subject: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Benchmark or job to start, with --system."),
    ] = None,
    min_score: Annotated[
        str | None,
        typer.Option(metavar="SCORE", help="Lowest score of a benchmark that passes. [85%]"),
    ] = None,
    rate: Annotated[
        str | None, typer.Option(metavar="RATE", help="Requests per second, e.g. 20.")
    ] = None,
    duration: Annotated[
        str | None, typer.Option(metavar="DURATION", help="Duration of a run, e.g. 1m.")
    ] = None,
    ci: Annotated[
        Literal["github", "gitlab", "make", "none"] | None,
        typer.Option(metavar="PLATFORM", case_sensitive=False, help="Pipeline to write."),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Name of the profile. [derived from the URL]"),
    ] = None,
    method: Annotated[str | None, typer.Option(metavar="METHOD", help="HTTP method. [GET]")] = None,
    fail_on: Annotated[
        str | None,
        typer.Option(
            metavar="VERDICTS",
            autocompletion=complete_verdicts,
            help="Verdicts that fail the gate. [FAIL,WARN]",
        ),
    ] = None,
    server: Annotated[
        str | None,
        typer.Option(metavar="local|URL", help="Server that the pipeline uses. [local]"),
    ] = None,
    action: Annotated[
        str | None,
        typer.Option(
            metavar="OWNER/REPO@REF", help="GitHub action that the workflow uses, if published."
        ),
    ] = None,
    allow_public_targets: Annotated[
        bool,
        typer.Option("--allow-public-targets", help="Allow load on a public target (you own it)."),
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Overwrite existing files that differ.")
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="Do not ask; use defaults for missing values.")
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Check an existing set-up; write nothing.")
    ] = False,
) -> int:
    """Set up a gate: write a profile document, tm.toml and a CI pipeline.

    At a terminal it asks three questions. Existing files are kept. A benchmark or a job needs no
    profile document.

    tm init

    tm init --url http://localhost:8080/checkout --rate 20 --duration 1m --ci github

    tm init --system jobs --subject nightly-export --ci github

    tm init --check
    """
    flags = {
        "system": system,
        "subject": subject,
        "min_score": min_score,
        "action": action,
        "url": url,
        "rate": rate,
        "duration": duration,
        "ci": ci,
        "name": name,
        "method": method,
        "fail_on": fail_on,
        "server": server,
        "allow_public_targets": allow_public_targets,
        "force": force,
        "yes": yes,
    }
    if not check:
        return _set_up(session, flags)
    if any(value not in (None, False) for value in flags.values()):
        raise UsageError("--check takes no other option")
    from tm_cli.commands.init.check import check_setup

    return check_setup(session)


def _set_up(session: CommandContext, flags: dict[str, Any]) -> int:
    from tm_cli.commands.init.questions import read_answers
    from tm_cli.commands.schema import schema_text
    from tm_cli.setup.branches import read_branches
    from tm_cli.setup.editor import SCHEMAS
    from tm_cli.setup.plan import plan, read_text, usual_platform, write

    cwd = session.context.cwd
    branch = read_branches(cwd).default
    answers = read_answers(session, flags, usual=usual_platform(cwd), branch=branch)
    _check_place(session, answers)
    schemas = {kind: schema_text(kind) for kind in SCHEMAS}
    changes = plan(answers, lambda path: read_text(cwd, path), schemas, force=flags["force"])
    write(cwd, changes)
    return _print(session, answers, changes)


def _check_place(session: CommandContext, answers: Answers) -> None:
    """Refuse a pipeline that the platform would not find, and a name that is taken.

    A file that is not a profile document is never replaced by one.
    """
    from tm_cli.backends.trafficmorph.profile_documents import read_document
    from tm_cli.errors import ConfigurationError
    from tm_cli.setup.answers import document_path
    from tm_cli.setup.plan import top_for

    cwd = session.context.cwd
    if top := top_for(answers.platform, cwd):
        raise UsageError(
            f"this is not the top of the repository, where {answers.platform} looks for pipelines",
            hint=f"run it in {top}, or with --ci make or none here",
        )
    path = document_path(answers.name)
    if not answers.is_load or not (cwd / path).exists():
        return
    try:
        read_document(cwd / path)
    except ConfigurationError as error:
        raise ConfigurationError(error.message, hint="choose another --name") from None


def _print(session: CommandContext, answers: Answers, changes: Sequence[Change]) -> int:
    from tm_cli.render.tables import columns
    from tm_cli.setup.plan import next_commands, notes

    commands, sentences = next_commands(answers, changes), notes(answers, changes)
    data = {
        "files": [{"path": change.path, "action": str(change.action)} for change in changes],
        "next": commands,
        "notes": sentences,
    }

    def show() -> str:
        rows = [(change.path, str(change.action)) for change in changes]
        lines = [columns(session.terminal, ("FILE", "WHAT"), rows)]
        if sentences:
            lines += ["", *(f"- {sentence}" for sentence in sentences)]
        return "\n".join([*lines, "", "Next:", *(f"  {line}" for line in commands)])

    return session.emit(data, show)
