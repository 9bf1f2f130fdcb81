"""What a check has found, and what all findings come to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from tm_cli.errors import TmError
from tm_cli.exit_codes import ExitCode
from tm_cli.values.api_key import ApiKey
from tm_cli.values.text import clean


class Status(StrEnum):
    """How a check ended; only FAIL stands in the way of a gate."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the diagnosis: a sentence, what to do, and the facts behind it for programs.

    `code` is what a gate would end with because of it; OK unless the check has failed. `system` is
    whose server it is about, None for this machine and its settings.
    """

    check: str
    status: Status
    text: str
    fix: str | None = None
    code: ExitCode = ExitCode.OK
    facts: Mapping[str, Any] = field(default_factory=dict)
    system: str | None = None


def ok(check: str, text: str, **facts: Any) -> Finding:
    """Nothing is wrong."""
    return Finding(check, Status.OK, clean(text), facts=facts)


def warn(check: str, text: str, fix: str, **facts: Any) -> Finding:
    """A gate works, but something is odd."""
    return Finding(check, Status.WARN, clean(text), clean(fix), facts=facts)


def skipped(check: str, text: str, **facts: Any) -> Finding:
    """There was nothing to look at."""
    return Finding(check, Status.SKIPPED, clean(text), facts=facts)


def fail(check: str, text: str, fix: str | None, code: ExitCode, **facts: Any) -> Finding:
    """A gate would end with `code`."""
    return Finding(check, Status.FAIL, clean(text), clean(fix) if fix else None, code, facts)


def failed_by(check: str, error: TmError, **facts: Any) -> Finding:
    """A gate would meet this error."""
    return fail(check, error.message, error.hint, error.exit_code, **facts)


def without_key(finding: Finding, key: ApiKey) -> Finding:
    """Return the finding without the key, which a server may have written into its answer."""
    secret = key.reveal().decode("utf-8", "replace")

    def hidden(value: Any) -> Any:
        return value.replace(secret, str(key)) if isinstance(value, str) else value

    facts = {name: hidden(value) for name, value in finding.facts.items()}
    return replace(finding, text=hidden(finding.text), fix=hidden(finding.fix), facts=facts)


_AS_A_GATE_MEETS_THEM = (
    ExitCode.CONFIGURATION,
    ExitCode.USAGE,
    ExitCode.REFUSED,
    ExitCode.AUTHENTICATION,
    ExitCode.UNAVAILABLE,
    ExitCode.ERROR,
)


def worst(findings: Iterable[Finding]) -> Finding | None:
    """Return the failed finding that decides the exit code, None when nothing has failed."""
    failed = [finding for finding in findings if finding.status is Status.FAIL]
    return min(failed, key=_rank, default=None)


def _rank(finding: Finding) -> int:
    order = _AS_A_GATE_MEETS_THEM
    return order.index(finding.code) if finding.code in order else len(order)
