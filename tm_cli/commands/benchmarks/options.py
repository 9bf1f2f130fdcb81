"""Options of the benchmark gate, and the rules that they write."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from tm_cli.errors import UsageError

if TYPE_CHECKING:
    from tm_cli.backends.runloop.baseline import BaselineWish
    from tm_cli.backends.runloop.rules import Rules

_RULES = "Rules"

MinScore = Annotated[
    str | None,
    typer.Option(metavar="SCORE", help="FAIL below it: 0.85 or 85%.", rich_help_panel=_RULES),
]
WarnScore = Annotated[
    str | None, typer.Option(metavar="SCORE", help="WARN below it.", rich_help_panel=_RULES)
]
MaxDrop = Annotated[
    str | None,
    typer.Option(
        metavar="POINTS",
        help="FAIL when the score is more points below the baseline: 0.03 or 3%.",
        rich_help_panel=_RULES,
    ),
]
WarnDrop = Annotated[
    str | None,
    typer.Option(metavar="POINTS", help="WARN when it is more below.", rich_help_panel=_RULES),
]
MaxFailed = Annotated[
    int,
    typer.Option(
        "--max-failed-scenarios",
        min=0,
        metavar="N",
        help="FAIL when more scenario runs failed, timed out or were canceled.",
        rich_help_panel=_RULES,
    ),
]
Coverage = Annotated[
    str | None,
    typer.Option(
        metavar="SHARE",
        help="FAIL when fewer of the benchmark's scenarios were run. [100%]",
        rich_help_panel=_RULES,
    ),
]
Expect = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        help="How many scenarios there must be, where the benchmark does not say.",
        rich_help_panel=_RULES,
    ),
]
Baseline = Annotated[
    str | None,
    typer.Option(
        metavar="RUN",
        help="Compare with this run; `last`, the usual, is the newest that could be one.",
        rich_help_panel=_RULES,
    ),
]
Match = Annotated[
    list[str] | None,
    typer.Option(
        metavar="KEY=VALUE",
        help="Only runs with this metadata are a baseline; repeatable.",
        rich_help_panel=_RULES,
    ),
]
CommonOnly = Annotated[
    bool,
    typer.Option(
        "--common-only",
        help="Where the scenarios have changed, compare those of both runs, and WARN.",
        rich_help_panel=_RULES,
    ),
]
Metadata = Annotated[
    list[str] | None,
    typer.Option(metavar="KEY=VALUE", help="Metadata of the run; repeatable."),
]
RunId = Annotated[str, typer.Argument(metavar="RUN", help="Id of a benchmark run.")]
File = Annotated[
    str, typer.Option("--output", "-o", metavar="FILE", help="Where to write the zip archive.")
]


@dataclass(frozen=True, slots=True)
class RuleOptions:
    """A bundle: the rules of the gate."""

    min_score: MinScore = None
    warn_score: WarnScore = None
    max_drop: MaxDrop = None
    warn_drop: WarnDrop = None
    max_failed: MaxFailed = 0
    coverage: Coverage = None
    expect: Expect = None
    common_only: CommonOnly = False

    def read(self) -> Rules:
        """Return the rules; see `read_rules`."""
        return read_rules(
            min_score=self.min_score,
            warn_score=self.warn_score,
            max_drop=self.max_drop,
            warn_drop=self.warn_drop,
            max_failed=self.max_failed,
            coverage=self.coverage,
            expect=self.expect,
            common_only=self.common_only,
        )


def read_rules(
    *,
    min_score: str | None,
    warn_score: str | None,
    max_drop: str | None,
    warn_drop: str | None,
    max_failed: int,
    coverage: str | None,
    expect: int | None,
    common_only: bool,
) -> Rules:
    """Return the rules that the flags write; raises UsageError, and sends nothing."""
    from tm_cli.backends.runloop.rules import Rules

    whole = 1.0
    try:
        return Rules(
            min_score=_share("--min-score", min_score),
            warn_score=_share("--warn-score", warn_score),
            max_drop=_share("--max-drop", max_drop),
            warn_drop=_share("--warn-drop", warn_drop),
            max_failed=max_failed,
            coverage=whole if (given := _share("--coverage", coverage)) is None else given,
            expected=expect,
            common_only=common_only,
        )
    except ValueError as problem:
        raise UsageError(str(problem)) from None


def require_a_rule(rules: Rules) -> None:
    """Raise UsageError where any score would pass."""
    if not rules.is_set:
        raise UsageError(
            "this gate has no rule, so that every score would pass",
            hint="give --min-score, --warn-score, --max-drop or --warn-drop",
        )


def read_baseline(run: str | None, match: Sequence[str] | None) -> BaselineWish:
    """Return which run to compare with; raises UsageError."""
    from tm_cli.backends.runloop.baseline import LAST, BaselineWish

    pairs = read_pairs("--match", match)
    if run is not None and not run.strip():
        raise UsageError("--baseline is empty")
    if pairs and run not in (None, LAST):
        raise UsageError("--match chooses among runs, and --baseline names one")
    return BaselineWish(run, pairs)


def read_pairs(flag: str, values: Sequence[str] | None) -> Mapping[str, str]:
    """Return `KEY=VALUE` flags as a mapping; raises UsageError for anything else."""
    pairs: dict[str, str] = {}
    for text in values or ():
        key, separator, value = text.partition("=")
        if not separator or not key.strip():
            raise UsageError(f"{flag}: {text!r} is not KEY=VALUE")
        if key in pairs:
            raise UsageError(f"{flag}: {key} is given twice")
        pairs[key] = value
    return pairs


def _share(flag: str, text: str | None) -> float | None:
    from tm_cli.backends.runloop.rules import parse_share

    if text is None:
        return None
    try:
        return parse_share(text)
    except ValueError as problem:
        raise UsageError(f"{flag}: {problem}") from None
