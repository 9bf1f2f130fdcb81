"""The verdict of a finished run: choose a baseline, compare, decide. Pure: no I/O, no clock."""

from tm_cli.server.judge.baseline import Choice, How, Wish, choose_baseline
from tm_cli.server.judge.facts import RunFacts
from tm_cli.server.judge.thresholds import Bound, Limits
from tm_cli.server.judge.verdict import Judgement, judge, judge_duet

__all__ = [
    "Bound",
    "Choice",
    "How",
    "Judgement",
    "Limits",
    "RunFacts",
    "Wish",
    "choose_baseline",
    "judge",
    "judge_duet",
]
