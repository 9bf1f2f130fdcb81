"""Which server and key a pipeline's gate gets from its platform."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from tm_cli.values.check_result import CheckResult, problem, warning
from tm_cli.values.urls import LOCAL

_EXPRESSION = re.compile(r"\$\{\{\s*(secrets|vars)\.(\w+)[^}]*\}\}")
_VARIABLE = re.compile(r"\$[({]?(\w+)[)}]?")


def plain_key(path: str, environ: Mapping[str, str]) -> Iterator[CheckResult]:
    """Look for an API key that is not a reference to a secret."""
    key = environ.get("TM_API_KEY")
    if key is not None and not _EXPRESSION.search(key) and not _VARIABLE.fullmatch(key):
        yield problem("TM_API_KEY", f"{path} holds a key in plain text", "revoke that key")


def server_and_key(
    path: str, server: str | None, environ: Mapping[str, str]
) -> Iterator[CheckResult]:
    """Say what is missing for a gate on runs to find its server, and to get a key for it."""
    is_gitlab = ".gitlab" in path
    if not server and is_gitlab:
        yield warning("TM_BASE_URL", f"{path} names no server: a CI/CD variable, or `local`")
    elif not server and path.endswith((".yml", ".yaml")):
        text = f"{path} names no server, and in CI tm chooses none: add it, or `local`"
        yield problem("TM_BASE_URL", text)
    found = _EXPRESSION.search(server or "")
    if found and "||" not in found[0]:
        yield warning(found[2], f"{path} takes the server's address from {_source(found)}")
    if server != LOCAL and not environ.get("TM_API_KEY_FILE"):
        yield from _key(path, server, environ.get("TM_API_KEY"))


def _key(path: str, server: str | None, key: str | None) -> Iterator[CheckResult]:
    found = _EXPRESSION.search(key or "")
    if found and found[1] == "vars":
        yield problem(found[2], f"{path} takes the key from a variable; use a secret")
    elif found:
        yield warning(found[2], f"{path} takes the key from {_source(found)}")
    elif server and key is None and ".github/" in path:
        text = f"{path} passes no key on: TM_API_KEY: ${{{{ secrets.TM_API_KEY }}}}"
        yield problem("TM_API_KEY", text)
    elif server and key is None and ".gitlab" in path:
        yield warning("TM_API_KEY", f"{path} needs a masked CI/CD variable of the project")


def _source(found: re.Match[str]) -> str:
    kind = "secret" if found[1] == "secrets" else "variable"
    return f"the {kind} {found[2]} of the repository"
