"""`tm report comment`: one comment per gate on a pull request, replaced in place.

A comment that cannot be made does not concern the gate: it is noted, and the command exits 0.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tm_cli.api import strict_json
from tm_cli.api.errors import NO_ACCESS, ApiError, HttpError
from tm_cli.api.review_comments import MergeRequest, PullRequest, explain, replace_comment
from tm_cli.api.transport import Connection, Transport
from tm_cli.cli.session import CommandContext
from tm_cli.commands.report.replay import load
from tm_cli.commands.shared.ci_platforms import append_summary
from tm_cli.commands.shared.report_sinks import step_summary
from tm_cli.errors import ConfigurationError, UsageError
from tm_cli.gate.outcome import GateOutcome
from tm_cli.render.comparisons import escaped
from tm_cli.render.formats.markdown import markdown
from tm_cli.values.api_key import ApiKey
from tm_cli.values.urls import LOCAL, is_loopback, is_plain_http, parse_base_url

LONGEST_NAME = 100
MARGIN = 1024
"""Bytes of a comment that stay free."""

GITHUB_API = "https://api.github.com"

_REF = re.compile(
    r"refs/pull/([0-9]{1,9})/(?:merge|head)"
    r"|refs/heads/gh-readonly-queue/.+/pr-([0-9]{1,9})-[0-9a-f]{7,64}",
    re.ASCII,
)
"""The refs of pull requests and of GitHub's merge queue."""

_LISTING = ("workflow_run", "check_suite", "check_run", "merge_group")
"""Parts of events that list the pull requests of a commit."""

_REPOSITORY = re.compile(r"[A-Za-z0-9._-]{1,100}/[A-Za-z0-9._-]{1,100}", re.ASCII)
_PROJECT = re.compile(r"[0-9]{1,12}|[A-Za-z0-9._/-]{1,250}", re.ASCII)
_PAGE = re.compile(r"https?://[A-Za-z0-9._~:/-]{1,300}", re.ASCII)


def comment(
    session: CommandContext, file: str, *, name: str, repo: str | None, number: int | None
) -> int:
    """Put a saved report on a pull request, or into the summary where that is not permitted."""
    if not name.strip() or len(name) > LONGEST_NAME:
        raise UsageError(f"--name: it needs 1 to {LONGEST_NAME} characters")
    outcome = load(session.context.cwd / file)
    review = find_review(session.context.environ, session.context.cwd, repo=repo, number=number)
    if review.number is None:
        why = f"no {review.noun} belongs to this job; --pr names one"
        return _fall_back(session, outcome, review, why)
    if review.token is None:
        variable = "GITHUB_TOKEN" if review.is_on_github else "GITLAB_TOKEN"
        return _fall_back(session, outcome, review, f"{variable} is not set")
    try:
        transport = _transport(session, review.api_url, review.token)
        thread = review.kind(transport, review.repository, review.number)
        text = _text(outcome, name, review.footer, thread.longest)
        done = replace_comment(thread, marker_of(name), text)
    except ApiError as error:
        refused = isinstance(error, HttpError) and error.status in NO_ACCESS | {404}
        why = f"{error.message}{'; it needs the right to comment' if refused else ''}"
        return _fall_back(session, outcome, review, why)
    return session.emit(
        {"comment": done, "number": review.number},
        lambda: f"{done} the comment on {review.place}",
    )


def _text(outcome: GateOutcome, name: str, footer: str, longest: int) -> str:
    head = f"{marker_of(name)}\n" + ("" if name == "tm" else f"## {escaped(name)}\n\n")
    limit = longest - MARGIN - len(head.encode())
    return head + markdown(outcome, limit=limit, footer=footer)


def marker_of(name: str) -> str:
    """Return the hidden line that the comment of one gate begins with."""
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:20]
    return f"<!-- tm-gate {digest} -->"


def _transport(session: CommandContext, api_url: str, token: ApiKey) -> Transport:
    connection = Connection(
        base_url=api_url,
        key=token,
        bearer=True,
        clock=session.context.clock,
        timeout=session.settings.value("timeout"),
        environ=session.context.environ,
        explain=explain,
        ca_file=session.settings.value("ca_file"),
        on_exchange=session.show_exchange if session.verbose else None,
    )
    transport = Transport(connection)
    session.keep_open(transport.close)
    return transport


def _fall_back(session: CommandContext, outcome: GateOutcome, review: Review, why: str) -> int:
    """Write the step summary instead, where there is one."""
    summary: Path | None = step_summary(session) if review.is_on_github else None
    if summary is not None and append_summary(session.terminal, summary, outcome):
        why = f"{why}; the step summary has it instead"
    where = f" on {review.place}" if review.number else ""
    session.terminal.write_line(f"tm: no comment was made{where}: {why}")
    return session.emit({"comment": None, "number": None}, lambda: "no comment")


@dataclass(frozen=True, slots=True)
class Review:
    """A pull or merge request, `number` None where the job is of none, and how to reach its API.

    `footer` is Markdown that links to the job.
    """

    kind: type[PullRequest | MergeRequest]
    api_url: str
    repository: str
    number: int | None
    token: ApiKey | None
    footer: str = ""

    @property
    def is_on_github(self) -> bool:
        return self.kind is PullRequest

    @property
    def noun(self) -> str:
        """What the platform calls it."""
        return "pull request" if self.is_on_github else "merge request"

    @property
    def place(self) -> str:
        """The number and the project, in words."""
        project = self.repository if self.is_on_github else f"project {self.repository}"
        return f"{self.noun} {self.number} of {project}"


def find_review(
    environ: Mapping[str, str], cwd: Path, *, repo: str | None, number: int | None
) -> Review:
    """Return where to comment; raises UsageError when nothing names the repository.

    The host comes from the platform's own variables only.
    """
    if environ.get("GITLAB_CI") == "true":
        return _gitlab(environ, repo, number)
    return _github(environ, cwd, repo, number)


def _github(environ: Mapping[str, str], cwd: Path, repo: str | None, number: int | None) -> Review:
    repository = repo or environ.get("GITHUB_REPOSITORY", "")
    if not _REPOSITORY.fullmatch(repository):
        raise UsageError(
            "no repository is named"
            if not repository
            else f"--repo: expected OWNER/NAME instead of {repository!r}",
            hint="in GitHub Actions it is found; elsewhere give --repo and --pr",
        )
    return Review(
        PullRequest,
        _api_url("GITHUB_API_URL", environ.get("GITHUB_API_URL") or GITHUB_API),
        repository,
        number or _pull_request(environ, cwd),
        _token(environ, "GITHUB_TOKEN", "GH_TOKEN"),
        _footer(environ),
    )


def _gitlab(environ: Mapping[str, str], repo: str | None, number: int | None) -> Review:
    # in the pipeline of a fork, CI_PROJECT_ID is the fork, which has no such merge request
    named = (environ.get("CI_MERGE_REQUEST_PROJECT_ID"), environ.get("CI_PROJECT_ID"))
    project = repo or next(filter(None, named), "")
    iid = environ.get("CI_MERGE_REQUEST_IID", "")
    if not _PROJECT.fullmatch(project):
        raise UsageError(
            f"--repo: invalid project {project!r}", hint="in GitLab CI it is set automatically"
        )
    found = int(iid) if iid.isascii() and iid.isdecimal() and len(iid) < 10 else None
    job = environ.get("CI_JOB_URL", "")
    return Review(
        MergeRequest,
        _api_url("CI_API_V4_URL", environ.get("CI_API_V4_URL", "")),
        project,
        number or found,
        _token(environ, "GITLAB_TOKEN"),
        f"[Job]({job})" if _PAGE.fullmatch(job) else "",
    )


def _api_url(variable: str, text: str) -> str:
    """Return the address of the API; a token travels unencrypted within this machine only."""
    try:
        url = parse_base_url(text)
    except ValueError as problem:
        raise ConfigurationError(f"invalid {variable}: {problem}") from None
    if url == LOCAL or (is_plain_http(url) and not is_loopback(url)):
        raise ConfigurationError(
            f"invalid {variable}: it is not https, and the token would travel unencrypted"
        )
    return url


def _token(environ: Mapping[str, str], *variables: str) -> ApiKey | None:
    for variable in variables:
        if text := environ.get(variable):
            try:
                return ApiKey(text)
            except ValueError as problem:
                text = str(problem).replace("the API key", "it")
                raise ConfigurationError(f"invalid {variable}: {text}") from None
    return None


def _pull_request(environ: Mapping[str, str], cwd: Path) -> int | None:
    """Return the number in the ref, else in the event that started the workflow."""
    if found := _REF.fullmatch(environ.get("GITHUB_REF", "")):
        return int(found[1] or found[2])
    if not (name := environ.get("GITHUB_EVENT_PATH")):
        return None
    try:
        event = strict_json.parse((cwd / name).read_bytes())
    except (OSError, ValueError):
        return None
    return _number(event)


def _number(event: Any) -> int | None:
    """Return the pull request that an event is about; an issue counts only when it is one.

    A commit may also belong to pull requests of other repositories, such as from a fork.
    """
    issue = _table(event, "issue")
    found = [_table(event, "pull_request"), issue if "pull_request" in issue else {}]
    repository = _table(event, "repository").get("id")
    for name in _LISTING:
        listed = _table(event, name).get("pull_requests")
        for item in listed if isinstance(listed, list) else ():
            base = _table(_table(item, "base"), "repo").get("id")
            if repository is None or base in (None, repository):
                found.append(item)
    head = _table(event, "merge_group").get("head_ref")
    queued = _REF.fullmatch(head) if isinstance(head, str) else None
    numbers = [item.get("number") for item in found if isinstance(item, dict)]
    numbers += [int(queued[1] or queued[2])] if queued else []
    return next((number for number in numbers if type(number) is int and number > 0), None)


def _table(document: Any, name: str) -> dict[str, Any]:
    found = document.get(name) if isinstance(document, dict) else None
    return found if isinstance(found, dict) else {}


def _footer(environ: Mapping[str, str]) -> str:
    server, run = environ.get("GITHUB_SERVER_URL", ""), environ.get("GITHUB_RUN_ID", "")
    page = f"{server}/{environ.get('GITHUB_REPOSITORY', '')}/actions/runs/{run}"
    return f"[Workflow run]({page})" if server and run and _PAGE.fullmatch(page) else ""
