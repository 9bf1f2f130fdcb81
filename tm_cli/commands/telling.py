"""Which places a gate is told at: the reports asked for, and the platform found or named."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tm_cli.commands.reports import Report, read_reports
from tm_cli.commands.session import Session
from tm_cli.commands.sinks import Reports, Sink


def read_sinks(
    session: Session, flags: Sequence[str], *, github: bool | None, gitlab: bool | None
) -> Reports:
    """Return the places for one call; None leaves a platform to its environment.

    Raises UsageError for a bad report. Files come first: one that is lost changes the exit code
    that the platform is told.
    """
    environ, clock = session.context.environ, session.context.clock
    reports = read_reports(flags, session.context.cwd, session.terminal)
    on_github = environ.get("GITHUB_ACTIONS") == "true" if github is None else github
    on_gitlab = environ.get("GITLAB_CI") == "true" if gitlab is None else gitlab
    sinks: list[Sink] = list(reports)
    if on_github:
        sinks.append(_github(session, reports))
    if on_gitlab:
        from tm_cli.commands.platforms import GitLab

        sinks.append(GitLab(session.terminal, clock))
    return Reports(tuple(sinks), now=clock.now)


def _github(session: Session, reports: Sequence[Report]) -> Sink:
    from tm_cli.commands.platforms import GitHub

    return GitHub(
        session.terminal,
        session.context.make_token(),
        output=_file(session, "GITHUB_OUTPUT"),
        summary=step_summary(session) if session.settings.value("github_summary") else None,
        annotates=session.settings.value("github_annotations"),
        reports=reports,
    )


def step_summary(session: Session) -> Path | None:
    """The file that the runner takes a summary from; None where it named none."""
    return _file(session, "GITHUB_STEP_SUMMARY")


def _file(session: Session, variable: str) -> Path | None:
    name = session.context.environ.get(variable)
    return session.context.cwd / name if name else None
