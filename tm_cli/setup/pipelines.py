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
from tm_cli.setup.answers import Answers, document_path, is_here, read_yaml, stem, wait_timeout

JOB = "load-test"
MARK = "written by `tm init`"
"""In the first line of a pipeline that `tm init --force` may replace."""
HISTORY = ".tm/tm.db"
"""The history of the embedded server, without its key."""
MAKEFILE = "Makefile"
MAKEFILES = ("GNUmakefile", "makefile", MAKEFILE)
INCLUDED_MAKEFILE = "load-test.mk"
"""Where the targets go when there is a makefile already."""
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
    if every_verdict and "NO_BASELINE" not in verdicts:
        verdicts.append("NO_BASELINE")
    words = ["tm runs start", document_path(answers.name), "--wait --fail-on", ",".join(verdicts)]
    if limit := wait_timeout(answers):
        words += ["--wait-timeout", limit]
    return " ".join(words)


def soft_codes(answers: Answers) -> tuple[ExitCode, ...]:
    """Return the codes that do not make a job red: WARN, and a missing baseline unless asked for.

    Both come from nothing but a verdict.
    """
    verdicts = answers.fail_on.split(",")
    warn = (ExitCode.WARN,) if "WARN" in verdicts else ()
    missing = () if "NO_BASELINE" in verdicts else (ExitCode.NO_BASELINE,)
    return warn + missing


def package(answers: Answers) -> str:
    """Return what pip installs: this very version."""
    extra = "[local]" if answers.is_local else ""
    return f"tm-cli{extra}=={__version__}"


def job_minutes(answers: Answers) -> int:
    """Return the time limit of a job: the run, the wait for its verdict, the installation."""
    return -(-answers.seconds // 60) + 30


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


def makefile_text(answers: Answers) -> str:
    """Return a makefile with the gate and the installation of tm."""
    command = gate_command(answers, every_verdict=False).removeprefix("tm ")
    return f"""\
# A load test as a gate, {MARK} {__version__}; yours to change. `tm init --check` checks it.
# make prints the exit code of tm (`Error 2`), but ends with 2 itself whatever that code was.
TM ?= tm
# What `make install-tm` installs: this version, or a wheel, or a URL.
TM_PACKAGE ?= {package(answers)}

{_variables(answers)}
.PHONY: {JOB} install-tm

{JOB}:
\t$(TM) {command}

install-tm:
\tpython3 -m pip install "$(TM_PACKAGE)"
"""


def _variables(answers: Answers) -> str:
    if not answers.is_local:
        return f"# TM_API_KEY comes from the environment.\nexport TM_BASE_URL ?= {answers.server}\n"
    public = "export TM_ALLOW_PUBLIC_TARGETS ?= true\n" if answers.public else ""
    return (
        "ifdef CI # elsewhere, tm takes the embedded server of its own accord\n"
        f"export TM_BASE_URL ?= local\nendif\n{public}"
    )


GITLAB_PATH = ".gitlab-ci.yml"
INCLUDED_PIPELINE = ".gitlab/load-test.yml"
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
{_gitlab_server(answers)}{_cache(answers)}{_gitlab_service(answers)}  script:
    - python -m pip install "$TM_PACKAGE" || exit 1 # pip also exits with 3
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


def _gitlab_server(answers: Answers) -> str:
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


def _gitlab_service(answers: Answers) -> str:
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


GITHUB_PATH = ".github/workflows/load.yml"


def workflow_text(answers: Answers) -> str:
    """Return the workflow: a job that installs tm, runs the gate and keeps the history."""
    group = f"{JOB}-${{{{ github.ref }}}}" if answers.is_local else JOB
    return f"""\
# A load test as a gate, {MARK} {__version__}; yours to change. `tm init --check` checks it.
# FAIL and everything undecided make the job red; {_soft_story(answers)}
# The same as an action: `uses: OWNER/tm@v{__version__}` with the input `profile`.
name: load test

on:
  push:
    branches: [main, master] # these runs are what pull requests are compared with
  pull_request:
  workflow_dispatch:

permissions:
  contents: read

concurrency:{_why_group(answers)}
  group: {group}

jobs:
  {JOB}:
    runs-on: ubuntu-latest
    timeout-minutes: {job_minutes(answers)}
    env:
      # What pip installs. The variable TM_PACKAGE of the repository replaces it: a wheel, a URL.
      TM_PACKAGE: ${{{{ vars.TM_PACKAGE || '{package(answers)}' }}}}
{_github_server(answers)}
    steps:
      - uses: {pins.actions()["actions/checkout"]}
        with:
          persist-credentials: false
      - uses: {pins.actions()["actions/setup-python"]}
        with:
          python-version: "{pins.python_version()}"
      - name: Install tm
        shell: bash
        run: python -m pip install "$TM_PACKAGE"
{_github_service(answers)}{_restore(answers)}{_gate(answers)}{_save(answers)}"""


def _soft_story(answers: Answers) -> str:
    names = [code.name for code in soft_codes(answers)]
    if not names:
        return "so does every verdict but PASS."
    return f"{' and '.join(names)} only {'warn' if len(names) > 1 else 'warns'}."


def _why_group(answers: Answers) -> str:
    return "" if answers.is_local else " # two runs of one profile replace each other"


def _github_server(answers: Answers) -> str:
    if not answers.is_local:
        return (
            f"      TM_BASE_URL: {answers.server}\n"
            "      # A secret of the repository; pull requests from forks do not get it.\n"
            "      TM_API_KEY: ${{ secrets.TM_API_KEY }}"
        )
    text = "      TM_BASE_URL: local # the embedded server"
    if answers.public:
        text += '\n      TM_ALLOW_PUBLIC_TARGETS: "true" # you own the target'
    return text


def _github_service(answers: Answers) -> str:
    if not is_here(answers.url):
        return ""
    return (
        "      # The target is this machine: start the service in a step here, and wait until\n"
        f"      # the address in {document_path(answers.name)} answers.\n"
    )


def _key(answers: Answers) -> str:
    """The beginning of the cache's key: the branch that a pull request goes to, or the own one."""
    return f"tm:{stem(answers.name)}:${{{{ github.base_ref || github.ref_name }}}}:"


def _restore(answers: Answers) -> str:
    if not answers.is_local:
        return ""
    return f"""\
      - name: Fetch earlier runs
        uses: {pins.actions()["actions/cache/restore"]}
        with:
          path: {HISTORY}
          key: "{_key(answers)}${{{{ github.run_id }}}}:${{{{ github.run_attempt }}}}"
          restore-keys: "{_key(answers)}"
"""


def _gate(answers: Answers) -> str:
    soft = soft_codes(answers)
    script = waiting_block(gate_command(answers, every_verdict=True), soft)
    return f"""\
{_annotated(soft)}      - name: Load test
        shell: bash
        run: |
{indent(script, " " * 10)}"""


def _annotated(soft: Sequence[ExitCode]) -> str:
    if not soft:
        return ""
    names = " and ".join(code.name for code in soft)
    return f"      # tm itself annotates {names} in red, too; the job stays green all the same.\n"


def _save(answers: Answers) -> str:
    if not answers.is_local:
        return ""
    return f"""\
      - name: Let the embedded server end
        id: end
        if: ${{{{ !cancelled() && github.event_name != 'pull_request' }}}}
        shell: bash
        run: |
          for _ in $(seq 40); do
            if [ ! -e .tm/server.json ]; then break; fi
            sleep 0.25
          done
          # In use, or left with a journal, the database is not whole by itself.
          if [ ! -e .tm/server.json ] && [ ! -e {HISTORY}-journal ]; then
            echo "whole=true" >> "$GITHUB_OUTPUT"
          else
            echo "::warning title=Load test::no history is kept: its server has not ended"
          fi
      - name: Keep the history
        if: ${{{{ !cancelled() && steps.end.outputs.whole == 'true' }}}}
        uses: {pins.actions()["actions/cache/save"]}
        with:
          path: {HISTORY}
          key: "{_key(answers)}${{{{ github.run_id }}}}:${{{{ github.run_attempt }}}}"
"""
