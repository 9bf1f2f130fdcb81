"""The pipelines that `tm init` writes: GitHub, GitLab and make."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from textwrap import indent
from typing import Any

from tm_cli import __version__
from tm_cli.exit_codes import ExitCode
from tm_cli.setup import pins
from tm_cli.setup.answers import (
    Answers,
    System,
    document_path,
    is_here,
    read_yaml,
    scalar,
    stem,
    wait_timeout,
)

MARK = "written by `tm init`"
"""In the first line of a pipeline that `tm init --force` may replace."""
HISTORY = ".tm/tm.db"
"""The history of the embedded server, without its key."""
MAKEFILE = "Makefile"
MAKEFILES = ("GNUmakefile", "makefile", MAKEFILE)
USUAL_STAGE = "test"
SOFT_WORDS = {
    ExitCode.WARN: "WARN: accepted with a warning; the reasons stand above",
    ExitCode.NO_BASELINE: "NO_BASELINE: no earlier run to compare with, so nothing was compared",
}
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


def gate_command(answers: Answers, *, every_verdict: bool) -> str:
    """Return the command line of the gate.

    `every_verdict` adds NO_BASELINE, so that the pipeline gets an exit code for it.
    """
    verdicts = answers.fail_on.split(",")
    if every_verdict and ExitCode.NO_BASELINE in soft_codes(answers):
        verdicts.append("NO_BASELINE")
    subject = document_path(answers.name) if answers.is_load else answers.subject
    words = ["tm", answers.system, "start", subject, "--wait --fail-on", ",".join(verdicts)]
    if answers.min_score:
        words += ["--min-score", answers.min_score]
    if waits_for_target(answers):
        words += ["--wait-for-target", START]
    if limit := wait_timeout(answers):
        words += ["--wait-timeout", limit]
    return " ".join(words)


START = "60s"
"""How long the service may take to start, where the job starts it."""


def waits_for_target(answers: Answers) -> bool:
    """Whether the target is started in the job; the embedded server knows how to wait for it."""
    return answers.is_local and is_here(answers.url)


def included_pipeline(answers: Answers) -> str:
    """Where the job goes when there is a `.gitlab-ci.yml` already."""
    return f".gitlab/{answers.system.job}.yml"


def included_makefile(answers: Answers) -> str:
    """Where the targets go when there is a makefile already."""
    return f"{answers.system.job}.mk"


def soft_codes(answers: Answers) -> tuple[ExitCode, ...]:
    """Return the codes that do not make a job red: WARN, and a missing baseline unless asked for.

    Both come from nothing but a verdict. A job run has no baseline, and WARN means that it was
    canceled or has expired.
    """
    if answers.system is System.JOBS:
        return ()
    verdicts = answers.fail_on.split(",")
    warn = (ExitCode.WARN,) if "WARN" in verdicts else ()
    missing = () if "NO_BASELINE" in verdicts else (ExitCode.NO_BASELINE,)
    return warn + missing


def package(answers: Answers) -> str:
    """Return what pip installs: this very version."""
    return pins.package("[local]" if answers.is_local else "")


def job_minutes(answers: Answers) -> int:
    """Return the time limit of a job: the run, the wait for its verdict, the installation."""
    return -(-answers.seconds // 60) + (30 if answers.is_load else 45)


def stage_for(pipeline: str) -> str:
    """Return `test` where the pipeline has it, else its last stage that is a plain word."""
    try:
        document = read_yaml(pipeline)
    except ValueError:
        return USUAL_STAGE
    stages = document.get("stages") if isinstance(document, dict) else None
    if not isinstance(stages, list) or USUAL_STAGE in stages:
        return USUAL_STAGE
    plain = [name for name in stages if isinstance(name, str) and _PLAIN.fullmatch(name)]
    return plain[-1] if plain else USUAL_STAGE


def waiting_block(command: str, soft: Sequence[ExitCode]) -> str:
    """Return the lines that run a gate and end with its code; the `soft` ones only warn.

    They pass the signal of a cancelled job on to `tm`. `tm init --check` recognizes this text;
    whatever differs is judged as if written by hand.
    """
    head = f"""\
trap 'kill "$!"; wait "$!"' INT TERM # a cancelled job ends its run, too
{command} &
code=0
wait "$!" || code=$?
"""
    if not soft:
        return head + 'exit "$code"\n'
    cases = "".join(
        f'  {int(code)}) echo "::warning title=Load test::{SOFT_WORDS[code]}" ;;\n' for code in soft
    )
    return f"""\
{head}case $code in
{cases}  *) exit "$code" ;;
esac
"""


def include_line(path: str) -> str:
    """Return the line that takes in `path`."""
    return f"include: [{{local: {path}}}]" if path.endswith(".yml") else f"include {path}"


def includes(text: str, path: str) -> bool:
    """Whether the pipeline in `text` takes in `path`."""
    patterns = _of_gitlab(text) if path.endswith(".yml") else _of_make(text)
    return any(fnmatchcase(path, pattern.removeprefix("./").lstrip("/")) for pattern in patterns)


def _of_gitlab(text: str) -> Iterator[str]:
    try:
        document = read_yaml(text)
    except ValueError:
        return
    wanted: Any = document.get("include") if isinstance(document, Mapping) else None
    for item in wanted if isinstance(wanted, list) else [wanted]:
        local = item.get("local") if isinstance(item, Mapping) else item
        if isinstance(local, str):
            yield local


def _of_make(text: str) -> Iterator[str]:
    for line in re.findall(r"^ *[-s]?include\s+([^#\n]*)", text, re.MULTILINE):
        yield from line.split()


def makefile_text(answers: Answers, *, installs: bool = True) -> str:
    """Return a makefile with the gate, and a target that installs tm if it `installs`."""
    command = gate_command(answers, every_verdict=False).removeprefix("tm ")
    job = answers.system.job
    text = f"""\
{_head(answers)}
# make prints the exit code of tm (`Error 2`), but ends with 2 itself whatever that code was.
TM ?= tm
export PATH := $(CURDIR)/.tm/venv/bin:$(PATH)

{_variables(answers)}
.PHONY: {job}

{job}:
\t$(TM) {command}
"""
    return text + (_installation(answers) if installs else "")


def _installation(answers: Answers) -> str:
    return f"""
# What `make install-tm` installs into .tm/venv: this version, or a wheel, or a URL.
TM_PACKAGE ?= {package(answers)}

.PHONY: install-tm

install-tm: # an environment of its own: the system's Python may refuse packages
\tmkdir -p -m 700 .tm
\tpython3 -m venv .tm/venv
\t.tm/venv/bin/python -m pip install --only-binary=:all: "$(TM_PACKAGE)"
"""


def _head(answers: Answers) -> str:
    titles = {"runs": "A load test", "benchmarks": "A benchmark", "jobs": "A job run"}
    return (
        f"# {titles[answers.system]} as a gate, {MARK} {__version__}; yours to change. "
        "`tm init --check` checks it."
    )


def _variables(answers: Answers) -> str:
    prefix = answers.system.prefix
    if not answers.is_local:
        server = f"export {prefix}_BASE_URL ?= {answers.own_server}\n" if answers.own_server else ""
        return f"# {prefix}_API_KEY comes from the environment.\n{server}"
    public = "export TM_ALLOW_PUBLIC_TARGETS ?= true\n" if answers.public else ""
    return (
        "ifdef CI # elsewhere, tm takes the embedded server of its own accord\n"
        f"export TM_BASE_URL ?= local\nendif\n{public}"
    )


GITLAB_PATH = ".gitlab-ci.yml"


def pipeline_text(answers: Answers, stage: str = "test") -> str:
    """Return a pipeline with one job, which may as well be included; `stage` is a plain word."""
    job = answers.system.job
    report = f"{job}.xml"
    return f"""\
{_head(answers)}
# FAIL and everything undecided fail the pipeline{
        "; see allow_failure for the rest" if soft_codes(answers) else ""
    }.
{job}:
  stage: {stage}
  image: {pins.image()}
  timeout: {job_minutes(answers)} minutes
  rules:
    - if: $CI_PIPELINE_SOURCE == "merge_request_event"
    - if: $CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH
  variables:
    # What pip installs. A CI/CD variable TM_PACKAGE of the project replaces it: a wheel, a URL.
    TM_PACKAGE: "{package(answers)}"
    PIP_ONLY_BINARY: ":all:" # wheels: no code of a package runs while it is installed
{_gitlab_server(answers)}{_cache(answers)}{_gitlab_service(answers)}  script:
    - {_gitlab_installation(answers)} || exit 1 # pip also exits with 3
    - {gate_command(answers, every_verdict=True)} --report junit={report}
{_soft(answers)}  artifacts:
    when: always
    reports:
      junit: {report}
"""


def _gitlab_installation(answers: Answers) -> str:
    """Return the command; it does not need the key, which GitLab gives to the whole job."""
    return f'env -u {answers.system.prefix}_API_KEY python -m pip install "$TM_PACKAGE"'


def _gitlab_server(answers: Answers) -> str:
    prefix = answers.system.prefix
    if not answers.is_local:
        server = f'    {prefix}_BASE_URL: "{answers.own_server}"\n' if answers.own_server else ""
        text = f"{server}    # {prefix}_API_KEY is a masked CI/CD variable of the project.\n"
        why = "two runs of one profile replace each other"
        group = f"  resource_group: {answers.system.job} # {why}\n" if answers.is_load else ""
        return text + group
    text = "    TM_BASE_URL: local # the embedded server\n"
    if answers.public:
        text += '    TM_ALLOW_PUBLIC_TARGETS: "true" # you own the target\n'
    why = "two at a time would lose a run from the history"
    return f"{text}  resource_group: {answers.system.job}-$CI_COMMIT_REF_SLUG # {why}\n"


def _cache(answers: Answers) -> str:
    """Each branch has a history of its own: one that others may write would be a poor baseline."""
    if not answers.is_local:
        return ""
    return f"""\
  # Each branch continues its own history. A merge request is thereby compared with its own earlier
  # runs; --against compares it with a second target, without a history.
  cache:
    key: tm-{stem(answers.name)}-$CI_COMMIT_REF_SLUG-$CI_MERGE_REQUEST_IID
    paths: ["{HISTORY}"]
    when: always # a job that warns counts as failed
  after_script: # before the cache is written
    - for _ in $(seq 20); do if [ ! -e .tm/server.json ]; then break; fi; sleep 0.25; done
    - if [ -e {HISTORY}-journal ]; then rm -f {HISTORY}; fi # not whole: the older cache stays
"""


_DRIVER = (
    "# Another process has to drive the run, or this job: --exec=COMMAND (see tm benchmarks).\n"
)


def _gitlab_service(answers: Answers) -> str:
    if answers.system is System.BENCHMARKS:
        return f"  {_DRIVER}"
    if not is_here(answers.url):
        return ""
    return (
        "  # The target is this machine: start the service at the beginning of the script, for\n"
        "  # example with ./start.sh &; the gate waits until it answers.\n"
    )


def _soft(answers: Answers) -> str:
    codes = soft_codes(answers)
    if not codes:
        return ""
    story = ", ".join(f"{int(code)} is {code.name}" for code in codes)
    numbers = ", ".join(str(int(code)) for code in codes)
    return f"  allow_failure:\n    exit_codes: [{numbers}] # {story}\n"


def github_path(answers: Answers) -> str:
    """The file of the workflow."""
    name = "load" if answers.is_load else answers.system.job
    return f".github/workflows/{name}.yml"


def workflow_text(answers: Answers) -> str:
    """Return the workflow: a job with the action, its reports and a comment."""
    job = answers.system.job
    branches = scalar(answers.branch) if answers.branch else "main, master"
    return f"""\
{_head(answers)}
# FAIL and everything undecided make the job red; {_soft_story(answers)}
name: {job.replace("-", " ")}

on:
  push:
    branches: [{branches}]{_why_pushes(answers)}
  pull_request:
  workflow_dispatch:

permissions:
  contents: read

concurrency:{_why_group(answers)}
  group: {job}{"-${{ github.ref }}" if answers.is_local or not answers.is_load else ""}

jobs:
  {job}:
    runs-on: ubuntu-latest
    timeout-minutes: {job_minutes(answers)}
    permissions:
      contents: read
      pull-requests: write # for the comment
{_github_public(answers)}    steps:
      - uses: {pins.actions()["actions/checkout"]}
        with:
          persist-credentials: false
{_github_service(answers)}      - name: Gate
        uses: {answers.action}{_pinning(answers)}
        with:
{indent(_github_inputs(answers), " " * 10)}"""


def _soft_story(answers: Answers) -> str:
    red, warned = _github_verdicts(answers)
    names = {"WARN": "WARN (canceled, expired)" if answers.system is System.JOBS else "WARN"}
    parts = [f"so does {names.get(verdict, verdict)}" for verdict in red if verdict != "FAIL"]
    parts += [f"{names.get(verdict, verdict)} is a warning" for verdict in warned]
    if answers.system is not System.JOBS and "NO_BASELINE" not in red:
        parts.append("NO_BASELINE is a notice")
    return f"{', '.join(parts)}."


def _github_verdicts(answers: Answers) -> tuple[list[str], list[str]]:
    """Return the verdicts that make the job red, and those that are to be seen.

    WARN of a load test or a benchmark is a warning; of a job, that it was canceled or has expired.
    """
    verdicts = answers.fail_on.split(",")
    hard = [verdict for verdict in verdicts if verdict != "WARN"]
    red = verdicts if answers.system is System.JOBS or not hard else hard
    return red, [] if "WARN" in red else ["WARN"]


def _github_inputs(answers: Answers) -> str:
    """Return what the action is given, a line each."""
    red, warned = _github_verdicts(answers)
    subject = {System.RUNS: "profile", System.BENCHMARKS: "benchmark", System.JOBS: "job"}
    name = document_path(answers.name) if answers.is_load else scalar(answers.subject)
    key = f"${{{{ secrets.{answers.system.prefix}_API_KEY }}}}"
    inputs = {
        "system": None if answers.is_load else answers.system,
        subject[answers.system]: name,
        "args": f"--min-score={answers.min_score}" if answers.min_score else None,
        "fail-on": ",".join(red),
        "warn-on": ",".join(warned),
        "wait-for-target": START if waits_for_target(answers) else None,
        "wait-timeout": wait_timeout(answers),
        "base-url": "local # the embedded server" if answers.is_local else answers.own_server,
        "api-key": None if answers.is_local else f"{key} # pull requests from forks do not get it",
        "artifact": answers.system.job,
        "comment": "${{ github.event_name == 'pull_request' && 'true' || 'false' }}",
        "comment-name": stem(answers.name),
    }
    return "".join(f"{name}: {value}\n" for name, value in inputs.items() if value)


def _pinning(answers: Answers) -> str:
    """A release cannot name its own commit; who trusts the tag tells the auditor so."""
    is_commit = re.search(r"@[0-9a-f]{40}$", answers.action)
    return "" if is_commit else " # zizmor: ignore[unpinned-uses] its commit would be safer"


def _why_pushes(answers: Answers) -> str:
    return " # these runs are what pull requests are compared with" if answers.is_local else ""


def _why_group(answers: Answers) -> str:
    if answers.is_local or not answers.is_load:
        return ""
    return " # two runs of one profile replace each other"


def _github_public(answers: Answers) -> str:
    if not answers.public:
        return ""
    return '    env:\n      TM_ALLOW_PUBLIC_TARGETS: "true" # you own the target\n'


def _github_service(answers: Answers) -> str:
    if answers.system is System.BENCHMARKS:
        return f"      {_DRIVER}"
    if not is_here(answers.url):
        return ""
    return (
        "      # The target is this machine: start the service in a step here, for example\n"
        "      #   - run: ./start.sh &\n"
        "      # The gate waits until it answers.\n"
    )
