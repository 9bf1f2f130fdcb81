"""The targets for make."""

from __future__ import annotations

from tm_cli import __version__
from tm_cli.setup.answers import Answers
from tm_cli.setup.pipelines import JOB, MARK, gate_command, package

PATH = "Makefile"
INCLUDED = "load-test.mk"
"""Where the targets go when there is a makefile already."""
MAKEFILES = ("GNUmakefile", "makefile", PATH)


def makefile_text(answers: Answers) -> str:
    """Return a makefile with the gate and the installation of tm."""
    command = gate_command(answers, every_verdict=False).removeprefix("tm ")
    return f"""\
# A load test as a gate, {MARK} {__version__}; yours to change. `tm init --check` checks it.
# make prints the exit code of tm (`Error 2`), but ends with 2 itself whatever that code was.
TM ?= tm
# What `make install-tm` installs: this version, or a wheel, or a URL.
TM_PACKAGE ?= {package(answers)}

{_server(answers)}
.PHONY: {JOB} install-tm

{JOB}:
\t$(TM) {command}

install-tm:
\tpython3 -m pip install "$(TM_PACKAGE)"
"""


def _server(answers: Answers) -> str:
    if not answers.is_local:
        return f"# TM_API_KEY comes from the environment.\nexport TM_BASE_URL ?= {answers.server}\n"
    public = "export TM_ALLOW_PUBLIC_TARGETS ?= true\n" if answers.public else ""
    return (
        "ifdef CI # elsewhere, tm takes the embedded server of its own accord\n"
        f"export TM_BASE_URL ?= local\nendif\n{public}"
    )
