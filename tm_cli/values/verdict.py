"""Verdicts, and the set of them that fails a gate."""

from __future__ import annotations

from enum import StrEnum


class Verdict(StrEnum):
    """What a system says of a finished run; UNKNOWN is a word this version does not know."""

    PASS = "PASS"  # noqa: S105
    WARN = "WARN"
    FAIL = "FAIL"
    NO_BASELINE = "NO_BASELINE"
    UNKNOWN = "UNKNOWN"


KNOWN = frozenset(Verdict) - {Verdict.UNKNOWN}
GATED = (Verdict.FAIL, Verdict.WARN, Verdict.NO_BASELINE)
"""The verdicts that `--fail-on` takes."""


def read_verdict(text: str | None) -> Verdict | None:
    """Return the verdict that `text` spells exactly; None when there is none yet.

    No case folding and no stripping: whatever is not one of the four words is UNKNOWN.
    """
    if not text:
        return None
    return Verdict(text) if text in KNOWN else Verdict.UNKNOWN


def parse_fail_on(text: str) -> frozenset[Verdict]:
    """Return the verdicts of `--fail-on`: a comma-separated list, in any case, with blanks.

    Raises ValueError for an empty list and for any word but FAIL, WARN and NO_BASELINE.
    """
    return _parse(text, "PASS cannot fail a gate")


def parse_warn_on(text: str) -> frozenset[Verdict]:
    """Return the verdicts of `--warn-on`, which is written as `--fail-on` is."""
    return _parse(text, "PASS needs no warning")


def _parse(text: str, why_not_pass: str) -> frozenset[Verdict]:
    words = [word.strip().upper() for word in text.split(",") if word.strip()]
    if not words:
        raise ValueError("it names no verdict; choose from FAIL, WARN and NO_BASELINE")
    for word in words:
        if word == Verdict.PASS:
            raise ValueError(why_not_pass)
        if word not in GATED:
            raise ValueError(f"invalid verdict {word!r}: expected FAIL, WARN or NO_BASELINE")
    return frozenset(Verdict(word) for word in words)


def format_fail_on(chosen: frozenset[Verdict]) -> str:
    """Return a set of verdicts as `--fail-on` and `--warn-on` take it."""
    return ",".join(verdict for verdict in GATED if verdict in chosen)
