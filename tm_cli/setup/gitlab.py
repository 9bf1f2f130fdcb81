"""The job for GitLab."""

from __future__ import annotations

from tm_cli import __version__
from tm_cli.setup import pins
from tm_cli.setup.answers import Answers, document_path, is_here, stem
from tm_cli.setup.pipelines import (
    HISTORY,
    JOB,
    MARK,
    gate_command,
    job_minutes,
    package,
    soft_codes,
)

PATH = ".gitlab-ci.yml"
INCLUDED = ".gitlab/load-test.yml"
"""Where the job goes when there is a `.gitlab-ci.yml` already."""
REPORT = "load-test.xml"


def pipeline_text(answers: Answers, stage: str = "test") -> str:
    """Return a pipeline with one job, which may as well be included; `stage` is a plain word."""
    return f"""\
# A load test as a gate, {MARK} {__version__}; yours to change. `tm init --check` checks it.
# FAIL and everything undecided fail the pipeline; see allow_failure for the rest.
{JOB}:
  stage: {stage}
  image: {pins.image()}
  timeout: {job_minutes(answers)} minutes
{_rules(answers)}  variables:
    # What pip installs. A CI/CD variable TM_PACKAGE of the project replaces it: a wheel, a URL.
    TM_PACKAGE: "{package(answers)}"
{_server(answers)}{_cache(answers)}{_service(answers)}  script:
    - python -m pip install "$TM_PACKAGE" || exit 1 # pip has a 3 of its own
    - {gate_command(answers, every_verdict=True)} --report junit={REPORT}
{_soft(answers)}  artifacts:
    when: always
    reports:
      junit: {REPORT}
"""


def _rules(answers: Answers) -> str:
    policies = ("pull", "pull-push") if answers.is_local else ()
    conditions = (
        '$CI_PIPELINE_SOURCE == "merge_request_event"',
        "$CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH",
    )
    text = "  rules:\n"
    for number, condition in enumerate(conditions):
        text += f"    - if: {condition}\n"
        if policies:
            text += f"      variables: {{TM_CACHE_POLICY: {policies[number]}}}\n"
    return text


def _server(answers: Answers) -> str:
    if not answers.is_local:
        return (
            f'    TM_BASE_URL: "{answers.server}"\n'
            "    # TM_API_KEY is a masked CI/CD variable of the project.\n"
            f"  resource_group: {JOB} # two runs of one profile replace each other\n"
        )
    text = "    TM_BASE_URL: local # the embedded server\n"
    if answers.public:
        text += '    TM_ALLOW_PUBLIC_TARGETS: "true" # you own the target\n'
    why = "two at a time would lose a run from the history"
    return f"{text}  resource_group: {JOB}-$CI_COMMIT_REF_SLUG # {why}\n"


def _cache(answers: Answers) -> str:
    """Runs of the default branch are what merge requests are compared with."""
    if not answers.is_local:
        return ""
    return f"""\
  cache:
    key: tm-{stem(answers.name)}
    paths: ["{HISTORY}"]
    policy: $TM_CACHE_POLICY # only the default branch writes
    when: always # a job that warns counts as failed
    unprotect: true # else merge requests do not see the runs of a protected branch
  after_script: # before the cache is written
    - for _ in $(seq 20); do if [ ! -e .tm/server.json ]; then break; fi; sleep 0.25; done
    - if [ -e {HISTORY}-journal ]; then rm -f {HISTORY}; fi # not whole: the older cache stays
"""


def _service(answers: Answers) -> str:
    if not is_here(answers.url):
        return ""
    return (
        "  # The target is this machine: start the service at the beginning of the script, and\n"
        f"  # wait until the address in {document_path(answers.name)} answers.\n"
    )


def _soft(answers: Answers) -> str:
    codes = soft_codes(answers)
    if not codes:
        return ""
    story = ", ".join(f"{int(code)} is {code.name}" for code in codes)
    numbers = ", ".join(str(int(code)) for code in codes)
    return f"  allow_failure:\n    exit_codes: [{numbers}] # {story}\n"
