"""The one command that every pipeline runs, and what its exit codes mean to the pipeline. Pure."""

from __future__ import annotations

from tm_cli import __version__
from tm_cli.exit_codes import ExitCode
from tm_cli.scaffold.answers import Answers
from tm_cli.scaffold.documents import wait_timeout
from tm_cli.scaffold.names import document_path

JOB = "load-test"
MARK = "written by `tm init`"
"""In the first line of a pipeline that is ours to replace."""
HISTORY = ".tm/tm.db"
"""The history of the embedded server; the key of the server is no part of it."""


def gate_command(answers: Answers, *, every_verdict: bool) -> str:
    """Return the command line of the gate.

    `every_verdict` adds NO_BASELINE, so that the pipeline gets a code of its own to tell of it.
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
