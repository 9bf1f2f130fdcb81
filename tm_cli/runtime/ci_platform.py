"""The CI platform that tm runs on, found by the variables that platforms set in every job.

Several do not set `CI`: TeamCity, Azure Pipelines, AWS CodeBuild, Bamboo, GoCD, Google Cloud Build.
"""

from __future__ import annotations

from collections.abc import Mapping

PLATFORMS = {
    "GitHub Actions": ("GITHUB_ACTIONS",),
    "GitLab CI": ("GITLAB_CI",),
    "AppVeyor": ("APPVEYOR",),
    "AWS CodeBuild": ("CODEBUILD_BUILD_ID", "CODEBUILD_BUILD_ARN"),
    "Azure Pipelines": ("TF_BUILD",),
    "Bamboo": ("bamboo_buildKey", "bamboo_planKey"),
    "Bitbucket Pipelines": ("BITBUCKET_BUILD_NUMBER",),
    "Bitrise": ("BITRISE_IO",),
    "Buddy": ("BUDDY_WORKSPACE_ID",),
    "Buildkite": ("BUILDKITE",),
    "CircleCI": ("CIRCLECI",),
    "Cirrus CI": ("CIRRUS_CI",),
    "Codefresh": ("CF_BUILD_ID",),
    "Codemagic": ("CM_BUILD_ID",),
    "Drone": ("DRONE",),
    "GoCD": ("GO_PIPELINE_NAME", "GO_PIPELINE_LABEL"),
    "Google Cloud Build": ("BUILDER_OUTPUT",),
    "Harness": ("HARNESS_BUILD_ID",),
    "Heroku CI": ("HEROKU_TEST_RUN_ID",),
    "Jenkins": ("JENKINS_URL", "JENKINS_HOME", "HUDSON_URL"),
    "Prow": ("PROW_JOB_ID",),
    "Screwdriver": ("SCREWDRIVER",),
    "Semaphore": ("SEMAPHORE",),
    "Taskcluster": ("TASKCLUSTER_ROOT_URL",),
    "TeamCity": ("TEAMCITY_VERSION",),
    "Travis CI": ("TRAVIS",),
    "Vela": ("VELA",),
}
"""Each platform and the variables by which its jobs are known."""

UNKNOWN = "CI"
"""A platform that is known by the variable `CI` alone."""

VARIABLES = ("CI", *(name for names in PLATFORMS.values() for name in names))


def ci_platform(environ: Mapping[str, str]) -> str | None:
    """Return the name of the platform, `UNKNOWN` where only `CI` is set, None outside of CI."""
    for platform, names in PLATFORMS.items():
        if any(environ.get(name) for name in names):
            return platform
    return UNKNOWN if environ.get("CI") else None
