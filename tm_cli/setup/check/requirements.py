"""Which variables and secrets a pipeline expects from its platform. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from tm_cli.setup.check.gate_commands import Step
from tm_cli.setup.check.model import Finding, Remark
from tm_cli.values.urls import LOCAL

_EXPRESSION = re.compile(r"\$\{\{\s*(secrets|vars)\.(\w+)[^}]*\}\}")
_VARIABLE = re.compile(r"\$[({]?(\w+)[)}]?")


def server_finding(path: str, server: str | None) -> Finding | None:
    """Say what is missing for the gate to find its server; None when nothing is."""
    if server:
        found = _EXPRESSION.search(server)
        if found and "||" not in found[0]:
            return Finding.todo(found[2], f"{path} takes the server's address from {_kind(found)}")
        return None
    if ".gitlab" in path:
        return Finding.todo("TM_BASE_URL", f"{path} names no server: a CI/CD variable, or `local`")
    if path.endswith((".yml", ".yaml")):
        return Finding.problem(
            "TM_BASE_URL", f"{path} names no server, and in CI tm chooses none: add it, or `local`"
        )
    return None


def key_finding(path: str, server: str | None, environ: Mapping[str, str]) -> Finding | None:
    """Say where the key has to come from; None where none is needed."""
    key = environ.get("TM_API_KEY")
    if key is not None and not _EXPRESSION.search(key) and not _VARIABLE.fullmatch(key):
        return Finding.problem("TM_API_KEY", f"{path} holds a key in plain text; revoke that key")
    if server == LOCAL or environ.get("TM_API_KEY_FILE"):
        return None
    if key is not None and (found := _EXPRESSION.search(key)):
        if found[1] == "vars":
            return Finding.problem(found[2], f"{path} takes the key from a variable; use a secret")
        return Finding.todo(found[2], f"{path} takes the key from {_kind(found)}")
    if ".github/" in path and server:
        return Finding.problem(
            "TM_API_KEY", f"{path} passes no key on: TM_API_KEY: ${{{{ secrets.TM_API_KEY }}}}"
        )
    if server and key is None and ".gitlab" in path:
        return Finding.todo("TM_API_KEY", f"{path} needs a masked CI/CD variable of the project")
    return None


def _kind(found: re.Match[str]) -> str:
    kind = "secret" if found[1] == "secrets" else "variable"
    return f"the {kind} {found[2]} of the repository"


_PACKAGE = re.compile(r"(?<![\w/.@-])(?:\S*/)?tm[-_.]cli(?!\w)[^\s\"'\[$]*(?:\[([^\]]*)\])?")
_OF_PIPELINES = "TM_PACKAGE"
"""What the pipelines of `tm init` install; tm itself does not read it."""


def remark_on_package(step: Step, server: str | None) -> Remark | None:
    """Say when the embedded server is asked for and what is installed lacks it."""
    if server != LOCAL or step.inputs is not None:
        return None
    extras = list(_extras(_installed(step)))
    if not extras or any("local" in names for names in extras):
        return None
    return Remark("TM_BASE_URL is local, and the embedded server needs the extra: tm-cli[local]")


def _installed(step: Step) -> Iterator[str]:
    yield step.environ.get(_OF_PIPELINES, "")
    for text in step.installs:
        yield from (line for line in text.splitlines() if "install" in line or "tm-cli" in line)


def _extras(texts: Iterable[str]) -> Iterator[set[str]]:
    for text in texts:
        for found in _PACKAGE.finditer(text):
            yield {name.strip() for name in (found[1] or "").split(",")}
