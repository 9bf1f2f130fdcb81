"""The workflow for GitHub."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import indent

from tm_cli import __version__
from tm_cli.exit_codes import ExitCode
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
    waiting_block,
)

PATH = ".github/workflows/load.yml"


def workflow_text(answers: Answers) -> str:
    """Return the workflow: a job that installs tm, runs the gate and keeps the history."""
    group = f"{JOB}-${{{{ github.ref }}}}" if answers.is_local else JOB
    return f"""\
# A load test as a gate, {MARK} {__version__}; yours to change. `tm init --check` checks it.
# FAIL and everything undecided make the job red; {_soft_story(answers)}
# The same as an action: `uses: trafficmorph/tm@v{__version__}` with the input `profile`.
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
{_server(answers)}
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
{_service(answers)}{_restore(answers)}{_gate(answers)}{_save(answers)}"""


def _soft_story(answers: Answers) -> str:
    names = [code.name for code in soft_codes(answers)]
    if not names:
        return "so does every verdict but PASS."
    return f"{' and '.join(names)} only {'warn' if len(names) > 1 else 'warns'}."


def _why_group(answers: Answers) -> str:
    return "" if answers.is_local else " # two runs of one profile replace each other"


def _server(answers: Answers) -> str:
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


def _service(answers: Answers) -> str:
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
