"""Where a run comes from, as the CI platform tells it: found again in the run's metadata."""

from __future__ import annotations

from collections.abc import Mapping

_NAMES = {
    "commit": ("GITHUB_SHA", "CI_COMMIT_SHA"),
    "branch": ("GITHUB_HEAD_REF", "GITHUB_REF_NAME", "CI_COMMIT_REF_NAME"),
    "ci_url": ("CI_JOB_URL",),
}


def ci_metadata(environ: Mapping[str, str]) -> dict[str, str]:
    """Return `commit`, `branch` and `ci_url` of GitHub Actions or GitLab CI, as far as known."""
    found = {
        key: value
        for key, names in _NAMES.items()
        if (value := next((environ[name] for name in names if environ.get(name)), None))
    }
    server, repository = environ.get("GITHUB_SERVER_URL"), environ.get("GITHUB_REPOSITORY")
    if server and repository and (run_id := environ.get("GITHUB_RUN_ID")):
        found["ci_url"] = f"{server}/{repository}/actions/runs/{run_id}"
    return found
