"""Which CI platform this is, by the variables that it sets; pure."""

from __future__ import annotations

from collections.abc import Mapping

from tm_cli.diagnosis.finding import CheckResult, ok, skipped, warning

PLATFORMS = {
    "GitHub Actions": "GITHUB_ACTIONS",
    "GitLab CI": "GITLAB_CI",
    "Jenkins": "JENKINS_URL",
    "CircleCI": "CIRCLECI",
    "Azure Pipelines": "TF_BUILD",
    "Buildkite": "BUILDKITE",
    "Bitbucket Pipelines": "BITBUCKET_BUILD_NUMBER",
}
"""Each platform and a variable that only it sets."""

NATIVE = {
    "GitHub Actions": "outputs, summary and annotations of the step are written",
    "GitLab CI": "progress is a section of the log; give --report junit=FILE to the job's reports",
}

_MANNERS = (
    "progress in plain lines, no embedded server unless asked for, "
    "an interrupted gate stops its run"
)


def platform_of(environ: Mapping[str, str]) -> str | None:
    """Return the name of the platform, `CI` for an unknown one, None for none."""
    for name, variable in PLATFORMS.items():
        if environ.get(variable):
            return name
    return "CI" if environ.get("CI") else None


def examine_platform(environ: Mapping[str, str]) -> CheckResult:
    """Name the platform and what tm does there; tm goes by the variable CI alone."""
    name = platform_of(environ)
    if name is None:
        return skipped("CI", "none: this is no pipeline")
    if not environ.get("CI"):
        return warning(
            "CI",
            f"{name}, but the variable CI is not set: where TM_BASE_URL is missing, tm would take "
            "the embedded server, and an interrupted gate would let its run go on",
            "set CI=true for the job",
            platform=name,
        )
    kind = "CI is set" if name == "CI" else name
    native = NATIVE.get(name, "give --report junit=FILE to the platform")
    return ok("CI", f"{kind}: {_MANNERS}; {native}", platform=name)
