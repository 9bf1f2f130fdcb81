"""Options and arguments that several commands of `tm jobs` share, and how they are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

import typer

from tm_cli.commands import options
from tm_cli.commands.session import Session
from tm_cli.errors import UsageError
from tm_cli.text import clean

if TYPE_CHECKING:
    from tm_cli.gate.checks import Condition
    from tm_cli.gate.policy import Gate
    from tm_cli.gate.verdict import Verdict

RunId = Annotated[str, typer.Argument(metavar="RUN", help="Id of a job run.")]
RunIds = Annotated[list[str], typer.Argument(metavar="RUN...", help="Ids of job runs.")]
FailOn = Annotated[
    str | None,
    typer.Option(
        "--fail-on",
        "--fail-on-verdict",
        metavar="VERDICTS",
        help="Exit non-zero on these: FAIL,WARN. [TM_FAIL_ON, FAIL,WARN]",
    ),
]
Assert = Annotated[
    list[str] | None,
    typer.Option(
        "--assert",
        metavar="CHECK",
        help="Fail unless it holds of the result: 'score>=0.9', '$.state == \"done\"'; repeatable.",
    ),
]
MaxDuration = Annotated[
    str | None,
    typer.Option(
        metavar="DURATION", help="Fail when the run took longer, waiting and retries included."
    ),
]
CanceledAs = Annotated[
    str | None,
    typer.Option(
        metavar="VERDICT", help="What a canceled or expired run counts as: FAIL or WARN. [WARN]"
    ),
]
NoStream = Annotated[
    bool,
    typer.Option("--no-stream", help="Do not listen to event streams between two looks."),
]
Payload = Annotated[
    str | None,
    typer.Option(metavar="FILE|JSON", help="The payload: a JSON file, or JSON itself."),
]
Tags = Annotated[
    list[str] | None, typer.Option("--tag", metavar="K=V", help="Tag of the run; repeatable.")
]
Limit = Annotated[int, typer.Option(min=1, max=1000, metavar="N", help="Most rows.")]
Cursor = Annotated[
    str | None, typer.Option(metavar="TIME", help="Go on after the rows before this time.")
]


@dataclass(frozen=True, slots=True)
class JobGateOptions:
    """A bundle: what fails the gate of a job run, and how it is waited for."""

    fail_on: FailOn = None
    checks: Assert = None
    max_duration: MaxDuration = None
    canceled_as: CanceledAs = None
    wait_timeout: options.WaitTimeout = None
    poll_interval: options.PollInterval = None
    no_stream: NoStream = False

    def read(self, session: Session, *, confirm: int = 0, last: bool = False) -> Gate:
        """Return the gate that flags and settings describe; sends nothing."""
        bundle = options.GateOptions(
            self.fail_on, wait_timeout=self.wait_timeout, poll_interval=self.poll_interval
        )
        gate = bundle.read(session, confirm=confirm, last=last)
        return replace(gate, checks=read_conditions(self.checks or [], self.max_duration))

    def read_wait(self) -> JobWaitOptions:
        """Return the options of a wait that only job runs have."""
        return JobWaitOptions(read_canceled_as(self.canceled_as), streams=not self.no_stream)


@dataclass(frozen=True, slots=True)
class JobWaitOptions:
    """What a canceled run counts as (None: not chosen), and whether event streams are opened."""

    canceled_as: Verdict | None = None
    streams: bool = True


LONGEST_RUN_ID = 200


def check_run_ids(run_ids: Sequence[str], *, most: int | None = None) -> list[str]:
    """Return the ids; raises UsageError for what cannot be one, is there twice or is too much."""
    for position, run_id in enumerate(run_ids):
        if not run_id.strip() or len(run_id) > LONGEST_RUN_ID or not run_id.isprintable():
            raise UsageError(f"RUN: {clean(run_id)!r} is no id of a run")
        if run_id in run_ids[:position]:
            raise UsageError(f"RUN: {clean(run_id)} is named twice")
    if most is not None and len(run_ids) > most:
        raise UsageError(f"RUN: {len(run_ids)} ids are more than {most}")
    return list(run_ids)


def check_run_id(run_id: str) -> str:
    """Return the id; raises UsageError for what cannot be one."""
    return check_run_ids([run_id])[0]


def read_canceled_as(text: str | None) -> Verdict | None:
    """Return the verdict on a run that was ended from outside; None where nothing is said."""
    from tm_cli.gate.verdict import Verdict
    from tm_cli.systems.strait.states import CANCELED_VERDICTS

    if text is None:
        return None
    word = text.strip().upper()
    if word not in CANCELED_VERDICTS:
        raise UsageError(f"--canceled-as: {text!r} is neither FAIL nor WARN")
    return Verdict(word)


def read_conditions(checks: Sequence[str], max_duration: str | None) -> tuple[Condition, ...]:
    """Return the checks beside the status; raises UsageError."""
    from tm_cli.systems.strait.conditions import parse_longest, parse_result_check

    found: list[Condition] = []
    try:
        if max_duration is not None:
            found.append(parse_longest(max_duration))
    except ValueError as problem:
        raise UsageError(f"--max-duration is not usable: {problem}") from None
    try:
        found += [parse_result_check(text) for text in checks]
    except ValueError as problem:
        raise UsageError(f"--assert is not usable: {problem}") from None
    return tuple(found)
