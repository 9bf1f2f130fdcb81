"""Which variables and secrets a pipeline expects from its platform. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

from tm_cli.base_url import LOCAL
from tm_cli.scaffold.findings import Finding

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
