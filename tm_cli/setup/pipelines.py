"""What all pipelines share, and the makefile: the gate's command, and what its exit codes mean."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from tm_cli import __version__
from tm_cli.exit_codes import ExitCode
from tm_cli.setup.answers import Answers, document_path
from tm_cli.setup.documents import read_yaml, wait_timeout

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
