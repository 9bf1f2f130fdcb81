"""Conditions on a job run in addition to its status: on its result and its duration."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import eq, ge, gt, le, lt, ne
from typing import Any

from tm_cli.api import strict_json
from tm_cli.gate.checks import Condition, ConditionResult
from tm_cli.gate.model import Result
from tm_cli.values.durations import format_duration, parse_duration
from tm_cli.values.text import sanitize

_RELATION = re.compile(r"\s*(==|!=|<=|>=|<|>)\s*")
_WORD = re.compile(r"[^\W\d][\w.-]*")
_ORDERED = {"<": lt, "<=": le, ">": gt, ">=": ge}
_EQUAL = {"==": eq, "!=": ne}
SECONDS = "durationSeconds"
"""The metric of a run's duration."""

LONGEST_SHOWN = 80
_NAME = re.compile(r"[^\W\d][\w-]*")
_BRACKETS = re.compile(
    r"""\[\s*(?:(?P<index>-?(?:0|[1-9][0-9]{0,8}))|(?P<double>"(?:[^"\\]|\\.)*")|'(?P<single>[^'\\]*)')\s*\]"""
)

Step = str | int
"""The name of a member, or the position of an item; from the end if it is negative."""


@dataclass(frozen=True, slots=True)
class ResultCheck:
    """A comparison of one value in the result of a run: `score>=0.9`, `$.state == "done"`.

    A result without that value, or with one that has no order, is neither passed nor failed.
    """

    text: str
    steps: tuple[Step, ...]
    relation: str
    wanted: Any

    @property
    def relative(self) -> bool:
        """It never compares with a baseline."""
        return False

    def judge(self, result: Result, baseline: Mapping[str, Any] | None) -> ConditionResult:
        if "result" not in result.facts:
            return ConditionResult(self, None, f"{self.text}: the run returned no result")
        try:
            value = follow(result.facts["result"], self.steps)
        except NotThere:
            return ConditionResult(self, None, f"{self.text}: the result has no such value")
        passed = _compared(value, self.relation, self.wanted)
        shown = sanitize(json.dumps(value, ensure_ascii=False), longest=LONGEST_SHOWN)
        if passed is None:
            return ConditionResult(self, None, f"{self.text}: {shown} cannot be compared so")
        return ConditionResult(self, passed, f"{self.text}: it is {shown}")


@dataclass(frozen=True, slots=True)
class DurationCheck:
    """The longest time that a run may take, in seconds, waiting and retries included.

    `written` is how the user wrote the limit.
    """

    written: str
    limit: float

    @property
    def text(self) -> str:
        return f"duration<={self.written}"

    @property
    def relative(self) -> bool:
        """It never compares with a baseline."""
        return False

    def judge(self, result: Result, baseline: Mapping[str, Any] | None) -> ConditionResult:
        took = result.metrics.get(SECONDS)
        if not isinstance(took, float) or not math.isfinite(took) or took < 0:
            reason = f"{self.text}: the server does not say how long it took"
            return ConditionResult(self, None, reason)
        reason = f"{self.text}: the run took {format_duration(took)}"
        return ConditionResult(self, took <= self.limit, reason)


def parse_result_check(text: str) -> ResultCheck:
    """Return the check that `text` writes; raises ValueError when it is none."""
    try:
        steps, rest = parse_path(text.strip())
    except ValueError as problem:
        raise ValueError(f"{text!r}: {problem}") from None
    relation = _RELATION.match(rest)
    if relation is None:
        raise ValueError(f"invalid check {text!r}: expected e.g. score>=0.9 or 'state == \"done\"'")
    written = rest[relation.end() :].strip()
    wanted = _literal(written)
    if wanted is _UNREADABLE:
        raise ValueError(
            f"invalid check {text!r}: expected a number, text, true, false or null "
            f"instead of {written or 'nothing'}"
        )
    if relation[1] in _ORDERED and not _is_number(wanted):
        raise ValueError(f"{text!r}: {relation[1]} compares with a number")
    return ResultCheck(text.strip(), steps, relation[1], wanted)


def parse_longest(text: str) -> DurationCheck:
    """Return the check on a run's duration; raises ValueError."""
    limit = parse_duration(text)
    if limit <= 0:
        raise ValueError("it must be longer than zero")
    return DurationCheck(text.strip(), limit)


def split_conditions(checks: Sequence[Condition]) -> tuple[list[str], str | None]:
    """Return conditions as people wrote them: those on the result, and the longest duration."""
    longest = [check.written for check in checks if isinstance(check, DurationCheck)]
    others = [check.text for check in checks if not isinstance(check, DurationCheck)]
    return others, longest[0] if longest else None


_UNREADABLE = object()
_MISSPELT = frozenset({"true", "false", "null", "none", "nan", "infinity"})


def _literal(text: str) -> Any:
    """Read a JSON scalar; a single word is a text without its quotes."""
    try:
        value = strict_json.parse(text)
    except ValueError:
        is_word = _WORD.fullmatch(text) and text.lower() not in _MISSPELT
        return text if is_word else _UNREADABLE
    return _UNREADABLE if isinstance(value, dict | list) else value


def _compared(value: Any, relation: str, wanted: Any) -> bool | None:
    if relation in _ORDERED:
        return bool(_ORDERED[relation](value, wanted)) if _is_number(value) else None
    # In Python, true equals 1.
    same_kind = isinstance(value, bool) == isinstance(wanted, bool)
    return bool(_EQUAL[relation](value, wanted)) if same_kind else relation == "!="


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


class NotThere(Exception):
    """The document has no value at this path."""


def parse_path(text: str) -> tuple[tuple[Step, ...], str]:
    """Return the steps of the path at the beginning of `text`, and the rest.

    Raises ValueError when it does not begin with a path.
    """
    steps: list[Step] = []
    rest = text
    if rest.startswith("$"):
        rest = rest[1:]
    elif name := _NAME.match(rest):
        steps.append(name[0])
        rest = rest[name.end() :]
    elif not rest.startswith("["):
        raise ValueError("it does not begin with a path such as result or $.items[0].name")
    while True:
        if found := _BRACKETS.match(rest):
            steps.append(_inside(found))
            rest = rest[found.end() :]
        elif rest.startswith(".") and (name := _NAME.match(rest, 1)):
            steps.append(name[0])
            rest = rest[name.end() :]
        else:
            return tuple(steps), rest


def _inside(found: re.Match[str]) -> Step:
    if found["index"] is not None:
        return int(found["index"])
    if found["double"] is not None:
        return str(json.loads(found["double"]))
    return str(found["single"])


def follow(document: Any, steps: tuple[Step, ...]) -> Any:
    """Return the value that the steps lead to; raises NotThere."""
    value = document
    for step in steps:
        match value, step:
            case dict(), str() if step in value:
                value = value[step]
            case list(), int() if -len(value) <= step < len(value):
                value = value[step]
            case _:
                raise NotThere
    return value
