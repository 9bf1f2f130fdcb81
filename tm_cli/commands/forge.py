"""Which pull or merge request a job belongs to, by what its platform says."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from tm_cli.api import strict_json
from tm_cli.api_key import ApiKey
from tm_cli.base_url import LOCAL, is_loopback, is_plain_http, parse_base_url
from tm_cli.errors import ConfigurationError, UsageError

GITHUB_API = "https://api.github.com"

_PULL = re.compile(r"refs/pull/([0-9]{1,9})/(?:merge|head)", re.ASCII)
_REPOSITORY = re.compile(r"[A-Za-z0-9._-]{1,100}/[A-Za-z0-9._-]{1,100}", re.ASCII)
_PROJECT = re.compile(r"[0-9]{1,12}|[A-Za-z0-9._/-]{1,250}", re.ASCII)
_PAGE = re.compile(r"https?://[A-Za-z0-9._~:/-]{1,300}", re.ASCII)


class Forge(Enum):
    """Where code and its reviews live."""

    GITHUB = "GitHub"
    GITLAB = "GitLab"


@dataclass(frozen=True, slots=True)
class Place:
    """A pull or merge request, None where the job is of none, and how to reach its API.

    `footer` is Markdown that links to the job.
    """

    forge: Forge
    api_url: str
    repository: str
    number: int | None
    token: ApiKey | None
    footer: str = ""

    @property
    def token_names(self) -> str:
        """The variables that may hold the token."""
        return "GITHUB_TOKEN" if self.forge is Forge.GITHUB else "GITLAB_TOKEN"

    @property
    def words(self) -> str:
        """What this forge calls it."""
        return "pull request" if self.forge is Forge.GITHUB else "merge request"


def find_place(
    environ: Mapping[str, str], cwd: Path, *, repo: str | None, number: int | None
) -> Place:
    """Return where to comment; raises UsageError when nothing names the repository.

    The host comes from the platform's own variables only.
    """
    if environ.get("GITLAB_CI") == "true":
        return _gitlab(environ, repo, number)
    return _github(environ, cwd, repo, number)


def _github(environ: Mapping[str, str], cwd: Path, repo: str | None, number: int | None) -> Place:
    repository = repo or environ.get("GITHUB_REPOSITORY", "")
    if not _REPOSITORY.fullmatch(repository):
        raise UsageError(
            "no repository is named"
            if not repository
            else f"--repo: expected OWNER/NAME instead of {repository!r}",
            hint="in GitHub Actions it is found; elsewhere give --repo and --pr",
        )
    return Place(
        Forge.GITHUB,
        _api_url("GITHUB_API_URL", environ.get("GITHUB_API_URL") or GITHUB_API),
        repository,
        number or _pull_request(environ, cwd),
        _token(environ, "GITHUB_TOKEN", "GH_TOKEN"),
        _footer(environ),
    )


def _gitlab(environ: Mapping[str, str], repo: str | None, number: int | None) -> Place:
    project, iid = repo or environ.get("CI_PROJECT_ID", ""), environ.get("CI_MERGE_REQUEST_IID", "")
    if not _PROJECT.fullmatch(project):
        raise UsageError(
            f"--repo: invalid project {project!r}", hint="in GitLab CI it is set automatically"
        )
    found = int(iid) if iid.isascii() and iid.isdecimal() and len(iid) < 10 else None
    job = environ.get("CI_JOB_URL", "")
    return Place(
        Forge.GITLAB,
        _api_url("CI_API_V4_URL", environ.get("CI_API_V4_URL", "")),
        project,
        number or found,
        _token(environ, "GITLAB_TOKEN"),
        f"[Job]({job})" if _PAGE.fullmatch(job) else "",
    )


def _api_url(variable: str, text: str) -> str:
    """The address of the API; a token travels unencrypted within this machine only."""
    try:
        url = parse_base_url(text)
    except ValueError as problem:
        raise ConfigurationError(f"{variable} is not usable: {problem}") from None
    if url == LOCAL or (is_plain_http(url) and not is_loopback(url)):
        raise ConfigurationError(
            f"{variable} is not usable: it is not https, and the token would travel unencrypted"
        )
    return url


def _token(environ: Mapping[str, str], *variables: str) -> ApiKey | None:
    for variable in variables:
        if text := environ.get(variable):
            try:
                return ApiKey(text)
            except ValueError as problem:
                said = str(problem).replace("the API key", "it")
                raise ConfigurationError(f"{variable} is not usable: {said}") from None
    return None


def _pull_request(environ: Mapping[str, str], cwd: Path) -> int | None:
    """The number in the ref, else in the event that started the workflow."""
    if found := _PULL.fullmatch(environ.get("GITHUB_REF", "")):
        return int(found[1])
    if not (name := environ.get("GITHUB_EVENT_PATH")):
        return None
    try:
        event = strict_json.parse((cwd / name).read_bytes())
    except (OSError, ValueError):
        return None
    return _number(event)


def _number(event: Any) -> int | None:
    """The pull request that an event is about; an issue counts only when it is one."""
    if not isinstance(event, dict):
        return None
    issue = event.get("issue")
    is_pull = isinstance(issue, dict) and "pull_request" in issue
    for found in (event.get("pull_request"), issue if is_pull else None):
        number = found.get("number") if isinstance(found, dict) else None
        if type(number) is int and number > 0:
            return number
    return None


def _footer(environ: Mapping[str, str]) -> str:
    server, run = environ.get("GITHUB_SERVER_URL", ""), environ.get("GITHUB_RUN_ID", "")
    page = f"{server}/{environ.get('GITHUB_REPOSITORY', '')}/actions/runs/{run}"
    return f"[Workflow run]({page})" if server and run and _PAGE.fullmatch(page) else ""
