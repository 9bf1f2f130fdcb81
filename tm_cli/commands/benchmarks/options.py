"""Options of the benchmark gate, and the rules that they write."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tm_cli.cli import options
from tm_cli.cli.help_page import COMPARISON, GATE
from tm_cli.errors import UsageError

if TYPE_CHECKING:
    from tm_cli.backends.runloop.baseline import BaselineQuery
    from tm_cli.backends.runloop.rules import Rules

_RULES = "Rules"

Wait = Annotated[
    bool,
    typer.Option(
        "--wait", help="Wait for the run to finish and apply the rules.", rich_help_panel=GATE
    ),
]
NameFilter = Annotated[str | None, typer.Option(metavar="NAME", help="Filter by exact name.")]
Search = Annotated[
    str | None, typer.Option(metavar="TEXT", help="Filter by substring of id or name.")
]
Limit = Annotated[int, typer.Option(min=1, metavar="N", help="Maximum number of results.")]
MinScore = Annotated[
    str | None,
    typer.Option(
        metavar="SCORE",
        help="FAIL when the score is below this, e.g. 0.85 or 85%.",
        rich_help_panel=_RULES,
    ),
]
WarnScore = Annotated[
    str | None,
    typer.Option(
        metavar="SCORE", help="WARN when the score is below this.", rich_help_panel=_RULES
    ),
]
MaxDrop = Annotated[
    str | None,
    typer.Option(
        metavar="POINTS",
        help="FAIL when the score drops by more than this from the baseline, e.g. 0.03 or 3%.",
        rich_help_panel=_RULES,
    ),
]
WarnDrop = Annotated[
    str | None,
    typer.Option(
        metavar="POINTS",
        help="WARN when the score drops by more than this.",
        rich_help_panel=_RULES,
    ),
]
MaxFailed = Annotated[
    int,
    typer.Option(
        "--max-failed-scenarios",
        min=0,
        metavar="N",
        help="FAIL when more scenario runs than this failed, timed out or were canceled.",
        rich_help_panel=_RULES,
    ),
]
Coverage = Annotated[
    str | None,
    typer.Option(
        metavar="SHARE",
        help="FAIL when a smaller share of the benchmark's scenarios was run. [100%]",
        rich_help_panel=_RULES,
    ),
]
Expect = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        help="Expected number of scenarios, if the benchmark does not define it.",
        rich_help_panel=_RULES,
    ),
]
Baseline = Annotated[
    str | None,
    typer.Option(
        metavar="RUN",
        help="Run to compare with; `last` is the newest suitable run. [last]",
        rich_help_panel=COMPARISON,
    ),
]
Match = Annotated[
    list[str] | None,
    typer.Option(
        metavar="KEY=VALUE",
        help="Use only runs with this metadata as the baseline; repeatable.",
        rich_help_panel=COMPARISON,
    ),
]
CommonOnly = Annotated[
    bool,
    typer.Option(
        "--common-only",
        help="If the scenarios differ, compare the common ones and WARN.",
        rich_help_panel=COMPARISON,
    ),
]
Metadata = Annotated[
    list[str] | None,
    typer.Option(
        metavar="KEY=VALUE|JSON",
        help="Metadata of the run: a text, or a JSON object with values of any type; repeatable.",
    ),
]
RunId = Annotated[str, typer.Argument(metavar="RUN", help="Benchmark run id.")]
File = Annotated[
    str, typer.Option("--output", "-o", metavar="FILE", help="File to write the zip archive to.")
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
        """Return the rules that the flags write; raises UsageError, and sends nothing."""
        from tm_cli.backends.runloop.rules import Rules

        coverage = _share("--coverage", self.coverage)
        try:
            return Rules(
                min_score=_share("--min-score", self.min_score),
                warn_score=_share("--warn-score", self.warn_score),
                max_drop=_share("--max-drop", self.max_drop),
                warn_drop=_share("--warn-drop", self.warn_drop),
                max_failed=self.max_failed,
                coverage=1.0 if coverage is None else coverage,
                expected=self.expect,
                common_only=self.common_only,
            )
        except ValueError as problem:
            raise UsageError(str(problem)) from None


def require_a_rule(rules: Rules) -> None:
    """Raise UsageError where any score would pass."""
    if not rules.is_set:
        raise UsageError(
            "no rule given; every score would pass",
            hint="give --min-score, --warn-score, --max-drop or --warn-drop",
        )


def read_baseline(run: str | None, match: Sequence[str] | None) -> BaselineQuery:
    """Return which run to compare with; raises UsageError."""
    from tm_cli.backends.runloop.baseline import LAST, BaselineQuery

    pairs = options.read_pairs("--match", match)
    if run is not None and not run.strip():
        raise UsageError("--baseline is empty")
    if pairs and run not in (None, LAST):
        raise UsageError("--match chooses among runs, and --baseline names one")
    return BaselineQuery(run, pairs)


def read_metadata(values: Sequence[str] | None) -> dict[str, Any]:
    """Return metadata that is given as KEY=VALUE and as JSON objects; raises UsageError."""
    from tm_cli.api import strict_json

    given = values or ()
    objects = [text for text in given if text.lstrip().startswith("{")]
    found: dict[str, Any] = options.read_pairs(
        "--metadata", [text for text in given if text not in objects]
    )
    for text in objects:
        try:
            document = strict_json.parse(text)
        except ValueError as problem:
            raise UsageError(f"--metadata: invalid JSON: {problem}") from None
        if twice := sorted(found.keys() & document.keys()):
            raise UsageError(f"--metadata: {twice[0]!r} is given twice")
        found |= document
    return found


def _share(flag: str, text: str | None) -> float | None:
    from tm_cli.backends.runloop.rules import parse_share

    if text is None:
        return None
    try:
        return parse_share(text)
    except ValueError as problem:
        raise UsageError(f"{flag}: {problem}") from None
