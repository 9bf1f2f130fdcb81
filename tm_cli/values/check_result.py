"""The result of a check, of `tm doctor` as of `tm init --check`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from tm_cli.errors import TmError
from tm_cli.exit_codes import ExitCode
from tm_cli.values.api_key import ApiKey, hide
from tm_cli.values.text import sanitize


class Status(StrEnum):
    """How a check ended; a PROBLEM prevents a gate, SKIPPED was not checked."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One line: what was checked, a sentence, what to do, and the facts behind it for programs.

    `code` is what a gate would end with because of it, OK unless there is a problem. `system` is
    the one whose server was checked, None for this machine, its settings and pipelines.
    """

    check: str
    status: Status
    text: str
    fix: str | None = None
    code: ExitCode = ExitCode.OK
    facts: Mapping[str, Any] = field(default_factory=dict)
    system: str | None = None


def ok(check: str, text: str, /, **facts: Any) -> CheckResult:
    """Nothing is wrong."""
    return CheckResult(check, Status.OK, sanitize(text), facts=facts)


def warning(check: str, text: str, fix: str | None = None, /, **facts: Any) -> CheckResult:
    """A gate works, but something needs attention."""
    return CheckResult(check, Status.WARNING, sanitize(text), _clean_or_none(fix), facts=facts)


def skipped(check: str, text: str, fix: str | None = None, /, **facts: Any) -> CheckResult:
    """It was not checked."""
    return CheckResult(check, Status.SKIPPED, sanitize(text), _clean_or_none(fix), facts=facts)


def problem(
    check: str,
    text: str,
    fix: str | None = None,
    code: ExitCode = ExitCode.CONFIGURATION,
    /,
    **facts: Any,
) -> CheckResult:
    """A gate would end with `code`."""
    return CheckResult(check, Status.PROBLEM, sanitize(text), _clean_or_none(fix), code, facts)


def problem_from(check: str, error: TmError, **facts: Any) -> CheckResult:
    """A gate would end with this error."""
    return problem(check, error.message, error.hint, error.exit_code, **facts)


def _clean_or_none(fix: str | None) -> str | None:
    return sanitize(fix) if fix else None


def without_key(result: CheckResult, key: ApiKey) -> CheckResult:
    """Return the result without the key, which a server may have written into its answer."""
    secret = key.reveal().decode("utf-8", "replace")

    def hidden(value: Any) -> Any:
        return hide(value, secret) if isinstance(value, str) else value

    facts = {name: hidden(value) for name, value in result.facts.items()}
    return replace(result, text=hidden(result.text), fix=hidden(result.fix), facts=facts)


_ORDER = (
    ExitCode.CONFIGURATION,
    ExitCode.USAGE,
    ExitCode.REFUSED,
    ExitCode.AUTHENTICATION,
    ExitCode.UNAVAILABLE,
    ExitCode.ERROR,
)


def worst(results: Iterable[CheckResult]) -> CheckResult | None:
    """Return the problem that decides the exit code: the one that a gate meets first."""
    problems = [result for result in results if result.status is Status.PROBLEM]
    return min(problems, key=_rank, default=None)


def _rank(result: CheckResult) -> int:
    return _ORDER.index(result.code) if result.code in _ORDER else len(_ORDER)
