"""The verdict of a finished run: choose a baseline, compare, decide. Pure: no I/O, no clock."""

from tm_cli.server.judge.baseline import choose_baseline
from tm_cli.server.judge.facts import RunFacts
from tm_cli.server.judge.limits import Limits
from tm_cli.server.judge.verdict import Judgement, judge

__all__ = ["Judgement", "Limits", "RunFacts", "choose_baseline", "judge"]
