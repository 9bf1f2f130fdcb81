"""What to do after a set-up was written. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tm_cli.scaffold import gitlab, make
from tm_cli.scaffold.answers import Answers, Platform
from tm_cli.scaffold.gate_call import soft_codes
from tm_cli.scaffold.includes import include_line
from tm_cli.scaffold.names import document_path, is_here, may_be_public
from tm_cli.scaffold.plan import Action, Change

FEWEST = 200
"""Requests that the embedded server needs to judge a run."""


def next_commands(answers: Answers, changes: Sequence[Change]) -> list[str]:
    """Return the two commands that come next."""
    paths = " ".join(change.path for change in changes)
    return [f"tm runs start {document_path(answers.name)} --wait", f"git add {paths}"]


def notes(answers: Answers, changes: Sequence[Change]) -> list[str]:
    """Return what only a person can do or should know, a sentence each."""
    return [*_files(changes), *_joining(changes), *_target(answers), *_verdicts(answers)]


def _files(changes: Sequence[Change]) -> Iterator[str]:
    if all(change.action is Action.SAME for change in changes):
        yield "Everything was there already."
    kept = [change.path for change in changes if change.action is Action.KEPT]
    if kept:
        yield (
            f"Kept as they are, though they differ from what you asked for: {', '.join(kept)}. "
            "--force replaces them."
        )


def _joining(changes: Sequence[Change]) -> Iterator[str]:
    paths = {change.path for change in changes}
    if gitlab.INCLUDED in paths:
        yield f"Add to {gitlab.PATH}: {include_line(gitlab.INCLUDED)}"
    if make.INCLUDED in paths:
        yield f"Add to your makefile: {include_line(make.INCLUDED)}"


def _target(answers: Answers) -> Iterator[str]:
    in_ci = answers.platform in (Platform.GITHUB, Platform.GITLAB)
    if in_ci and is_here(answers.url):
        yield "The target is this machine: start your service in the job, where a comment says so."
    if answers.is_local and may_be_public(answers.url) and not answers.public:
        yield (
            "The embedded server refuses public addresses. If the target has one and is yours: "
            "--allow-public-targets, and TM_ALLOW_PUBLIC_TARGETS=true on your machine."
        )
    if not answers.is_local and answers.platform is Platform.GITHUB:
        yield "Store the API key as the secret TM_API_KEY of the repository."
    if not answers.is_local and answers.platform is Platform.GITLAB:
        yield "Store the API key as the masked CI/CD variable TM_API_KEY of the project."


def _verdicts(answers: Answers) -> Iterator[str]:
    if answers.is_local and answers.requests < FEWEST:
        yield (
            f"{answers.requests:.0f} requests are too few for a verdict but WARN: take "
            f"{FEWEST} or more."
        )
    if answers.platform is Platform.NONE:
        return
    if "NO_BASELINE" in answers.fail_on:
        yield "The first run fails with 4: NO_BASELINE is one of the verdicts that you named."
    elif soft_codes(answers) or answers.platform is Platform.MAKE:
        yield "The first run has nothing to compare itself with: NO_BASELINE, told and let pass."
