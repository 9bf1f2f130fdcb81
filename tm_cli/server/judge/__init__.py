"""The verdict of a finished run: choose a baseline, compare, decide. No I/O, no clock."""

from tm_cli.server.judge.baseline import (
    BaselineChoice,
    BaselineSelection,
    SelectedBy,
    choose_baseline,
)
from tm_cli.server.judge.facts import RunFacts
from tm_cli.server.judge.thresholds import Threshold, Thresholds
from tm_cli.server.judge.verdict import Judgement, judge, judge_ab_run

__all__ = [
    "BaselineChoice",
    "BaselineSelection",
    "Judgement",
    "RunFacts",
    "SelectedBy",
    "Threshold",
    "Thresholds",
    "choose_baseline",
    "judge",
    "judge_ab_run",
]
