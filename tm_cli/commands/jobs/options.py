"""Options and arguments that several commands of `tm jobs` share, and how they are read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tm_cli.cli import options
from tm_cli.cli.session import Session
from tm_cli.errors import UsageError
from tm_cli.values.text import clean

if TYPE_CHECKING:
    from tm_cli.commands.jobs.gate import Watch
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
        """Return the gate; see `read_job_gate`."""
        return read_job_gate(
            session,
            fail_on=self.fail_on,
            checks=self.checks,
            max_duration=self.max_duration,
            wait_timeout=self.wait_timeout,
            poll_interval=self.poll_interval,
            confirm=confirm,
            last=last,
        )

    def read_watch(self) -> Watch:
        """Return what else a wait of job runs can be told."""
        verdict = read_canceled_as(self.canceled_as)
        from tm_cli.commands.jobs.gate import Watch

        return Watch(verdict, streams=not self.no_stream)


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
    from tm_cli.backends.strait.results import CANCELED_VERDICTS
    from tm_cli.gate.verdict import Verdict

    if text is None:
        return None
    word = text.strip().upper()
    if word not in CANCELED_VERDICTS:
        raise UsageError(f"--canceled-as: {text!r} is neither FAIL nor WARN")
    return Verdict(word)


def read_conditions(checks: Sequence[str], max_duration: str | None) -> tuple[Condition, ...]:
    """Return the checks beside the status; raises UsageError."""
    from tm_cli.backends.strait.conditions import parse_longest, parse_result_check

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


def read_job_gate(
    session: Session,
    *,
    fail_on: str | None,
    checks: Sequence[str] | None,
    max_duration: str | None,
    wait_timeout: str | None,
    poll_interval: str | None,
    confirm: int = 0,
    last: bool = False,
) -> Gate:
    """Return the gate that flags and settings describe; sends nothing.

    Job runs that nobody named a verdict for fail on FAIL and WARN: unlike a load test, a job that
    failed is never a success.
    """
    from dataclasses import replace

    gate = options.read_gate(
        session,
        fail_on=fail_on,
        wait_timeout=wait_timeout,
        verdict_timeout=None,
        poll_interval=poll_interval,
        confirm=confirm,
        last=last,
    )
    conditions = read_conditions(checks or [], max_duration)
    return replace(gate, checks=conditions)


MOST_TAGS, LONGEST_TAG_KEY, LONGEST_TAG_VALUE = 20, 64, 256


def read_trigger(
    cwd: Path,
    *,
    payload: str | None,
    tags: Sequence[str] | None,
    at: str | None,
    priority: int | None,
    ttl: str | None,
    keys: dict[str, str | None],
) -> dict[str, Any]:
    """Return the body of a trigger, without what was not asked for; raises UsageError."""
    body: dict[str, Any] = {
        "tags": read_pairs("--tag", tags or []) or None,
        "scheduled_at": None if at is None else read_time("--at", at),
        "priority": priority,
        "ttl_secs": None if ttl is None else _seconds("--ttl", ttl),
        **keys,
    }
    body = {name: value for name, value in body.items() if value is not None}
    return body if payload is None else {"payload": read_payload(payload, cwd), **body}


def _seconds(flag: str, text: str) -> int:
    from tm_cli.values.durations import parse_duration

    try:
        return round(parse_duration(text))
    except ValueError as problem:
        raise UsageError(f"{flag} is not usable: {problem}") from None


def read_payload(text: str | None, cwd: Path) -> Any:
    """Return the JSON that a flag holds or names; raises UsageError."""
    from tm_cli.api import strict_json

    if text is None:
        return None
    path = cwd / text
    is_file = not text.lstrip().startswith(("{", "[", '"')) and path.is_file()
    try:
        return strict_json.parse(path.read_bytes() if is_file else text)
    except OSError as problem:
        raise UsageError(f"--payload: cannot read {text}: {problem.strerror}") from None
    except ValueError as problem:
        what = f"{text} holds no JSON" if is_file else f"{text!r} is neither a file nor JSON"
        raise UsageError(f"--payload: {what}: {problem}") from None


def read_json(flag: str, text: str) -> str:
    """Return `text`, which must be JSON, unchanged; raises UsageError."""
    try:
        json.loads(text)
    except (ValueError, RecursionError) as problem:
        raise UsageError(f"{flag}: {clean(text)!r} is no JSON: {problem}") from None
    return text


def read_pairs(flag: str, flags: Sequence[str]) -> dict[str, str]:
    """Return the `K=V` pairs of repeated flags, by the limits of the API."""
    pairs: dict[str, str] = {}
    for text in flags:
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise UsageError(f"{flag}: {text!r} is not K=V")
        if key in pairs:
            raise UsageError(f"{flag}: {key!r} is there twice")
        if len(key) > LONGEST_TAG_KEY or len(value) > LONGEST_TAG_VALUE:
            raise UsageError(
                f"{flag}: {clean(text, longest=60)!r} is too long",
                hint=f"at most {LONGEST_TAG_KEY} characters before the =, "
                f"{LONGEST_TAG_VALUE} after it",
            )
        pairs[key] = value
    if len(pairs) > MOST_TAGS:
        raise UsageError(f"{flag}: {len(pairs)} are more than {MOST_TAGS}")
    return pairs


def read_time(flag: str, text: str) -> str:
    """Return a time with an offset, which the API demands; without one it is local time."""
    from datetime import datetime

    try:
        return datetime.fromisoformat(text).astimezone().isoformat()
    except (ValueError, OverflowError):
        raise UsageError(
            f"{flag}: {text!r} is no time", hint="write for instance 2026-03-01T12:00:00+01:00"
        ) from None
