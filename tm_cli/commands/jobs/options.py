"""Options and arguments that several commands of `tm jobs` share, and how they are read."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from tm_cli.cli import options
from tm_cli.cli.help_page import GATE, WAITING
from tm_cli.cli.options import read_pairs
from tm_cli.cli.session import CommandContext
from tm_cli.completion.candidates import complete_verdicts
from tm_cli.errors import UsageError
from tm_cli.values.text import sanitize

if TYPE_CHECKING:
    from tm_cli.gate.checks import Condition
    from tm_cli.gate.policy import Gate
    from tm_cli.values.verdict import Verdict

RunId = Annotated[str, typer.Argument(metavar="RUN", help="Job run id.")]
RunIds = Annotated[list[str], typer.Argument(metavar="RUN...", help="Job run ids.")]
FailOn = Annotated[
    str | None,
    typer.Option(
        "--fail-on",
        "--fail-on-verdict",
        metavar="VERDICTS",
        autocompletion=complete_verdicts,
        help="Verdicts that fail the gate: FAIL,WARN. [TM_FAIL_ON, FAIL,WARN]",
        rich_help_panel=GATE,
    ),
]
Assert = Annotated[
    list[str] | None,
    typer.Option(
        "--assert",
        metavar="CHECK",
        help="Fail unless the result meets this condition, e.g. 'score>=0.9' or "
        "'$.state == \"done\"'; repeatable.",
        rich_help_panel=GATE,
    ),
]
MaxDuration = Annotated[
    str | None,
    typer.Option(
        metavar="DURATION",
        help="Fail if the run took longer, including queueing and retries.",
        rich_help_panel=GATE,
    ),
]
CanceledAs = Annotated[
    Literal["FAIL", "WARN"] | None,
    typer.Option(
        case_sensitive=False,
        metavar="VERDICT",
        help="Verdict of a canceled or expired run. [WARN]",
        rich_help_panel=GATE,
    ),
]
NoStream = Annotated[
    bool,
    typer.Option(
        "--no-stream", help="Poll only; do not use event streams.", rich_help_panel=WAITING
    ),
]
JobName = Annotated[str, typer.Argument(metavar="JOB", help="Job id or slug.")]
OptionalRunIds = Annotated[
    list[str] | None, typer.Argument(metavar="[RUN...]", help="Job run ids.")
]
TagFilter = Annotated[str | None, typer.Option(metavar="K[=V]", help="Filter by tag.")]
Payload = Annotated[
    str | None,
    typer.Option(metavar="FILE|JSON", help="Payload: a JSON file, or JSON text."),
]
Tags = Annotated[
    list[str] | None, typer.Option("--tag", metavar="K=V", help="Tag of the run; repeatable.")
]
Batch = Annotated[str | None, typer.Option(metavar="ID", help="Filter by id of the bulk trigger.")]
TriggeredBy = Annotated[
    str | None,
    typer.Option(metavar="SOURCE", help="Filter by trigger: manual, cron, workflow, retry, ..."),
]
Project = Annotated[
    str | None,
    typer.Option(
        metavar="ID", help="Project, where the key does not determine it. [TM_STRAIT_PROJECT]"
    ),
]
Limit = Annotated[
    int, typer.Option(min=1, max=1000, metavar="N", help="Maximum number of results.")
]
Cursor = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="Show results before this time, to continue a list."),
]


@dataclass(frozen=True, slots=True)
class JobGateOptions:
    """A bundle: what fails the gate of a job run, and how it is waited for."""

    fail_on: FailOn = None
    warn_on: options.WarnOn = None
    checks: Assert = None
    max_duration: MaxDuration = None
    canceled_as: CanceledAs = None
    wait_timeout: options.WaitTimeout = None
    poll_interval: options.PollInterval = None
    no_stream: NoStream = False

    def read(self, session: CommandContext, *, confirm: int = 0, last: bool = False) -> Gate:
        """Return the gate that flags and settings describe; sends nothing."""
        bundle = options.GateOptions(
            self.fail_on,
            self.warn_on,
            wait_timeout=self.wait_timeout,
            poll_interval=self.poll_interval,
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
            raise UsageError(f"RUN: invalid run id {sanitize(run_id)!r}")
        if run_id in run_ids[:position]:
            raise UsageError(f"RUN: {sanitize(run_id)} is named twice")
    if most is not None and len(run_ids) > most:
        raise UsageError(f"RUN: too many ids: {len(run_ids)} (maximum {most})")
    return list(run_ids)


LONGEST_KEY = 256


def check_keys(*keys: str | None) -> None:
    """Raise UsageError for a key that a header cannot hold or the server does not take."""
    for key in keys:
        is_bad = key is not None and (not key.strip() or not key.isprintable() or not key.isascii())
        if is_bad or len(key or "") > LONGEST_KEY:
            raise UsageError(f"a key has 1 to {LONGEST_KEY} printable ASCII characters")


def check_run_id(run_id: str) -> str:
    """Return the id; raises UsageError for what cannot be one."""
    return check_run_ids([run_id])[0]


def read_canceled_as(text: str | None) -> Verdict | None:
    """Return the verdict on a run that was ended from outside; None where the flag is not given."""
    from tm_cli.backends.strait.results import CANCELED_VERDICTS
    from tm_cli.values.verdict import Verdict

    if text is None:
        return None
    word = text.strip().upper()
    if word not in CANCELED_VERDICTS:
        raise UsageError(f"--canceled-as: invalid verdict {text!r}: expected FAIL or WARN")
    return Verdict(word)


def read_conditions(checks: Sequence[str], max_duration: str | None) -> tuple[Condition, ...]:
    """Return the checks that must hold in addition to the status; raises UsageError."""
    from tm_cli.backends.strait.conditions import parse_longest, parse_result_check

    found: list[Condition] = []
    try:
        if max_duration is not None:
            found.append(parse_longest(max_duration))
    except ValueError as problem:
        raise UsageError(f"--max-duration: {problem}") from None
    try:
        found += [parse_result_check(text) for text in checks]
    except ValueError as problem:
        raise UsageError(f"--assert: {problem}") from None
    return tuple(found)


def read_status(text: str | None) -> str | None:
    """Return the status, which servers must know; raises UsageError."""
    from tm_cli.backends.strait.results import STATUSES

    return one_of("--status", text, STATUSES)


def one_of(flag: str, word: str | None, words: Sequence[str]) -> str | None:
    """Return the word, which may be missing; raises UsageError for one that is not known."""
    if word is not None and word not in words:
        raise UsageError(f"{flag}: {word!r} is not one of {', '.join(words)}")
    return word


MOST_TAGS = 20
LONGEST_TAG = 64, 256
"""Characters of key and value."""


def read_trigger(
    cwd: Path,
    *,
    payload: str | None,
    tags: Sequence[str] | None,
    at: str | None = None,
    priority: int | None = None,
    ttl: str | None = None,
    keys: Mapping[str, str | None] = MappingProxyType({}),
) -> dict[str, Any]:
    """Return the body of a trigger, without what was not asked for; raises UsageError."""
    body: dict[str, Any] = {
        "tags": read_pairs("--tag", tags, most=MOST_TAGS, longest=LONGEST_TAG) or None,
        "scheduled_at": None if at is None else options.read_time("--at", at),
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
        raise UsageError(f"{flag}: {problem}") from None


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
        what = f"invalid JSON in {text}" if is_file else f"{text!r} is not a file and not JSON"
        raise UsageError(f"--payload: {what}: {problem}") from None


def read_json(flag: str, text: str) -> str:
    """Return `text`, which must be JSON, unchanged; raises UsageError."""
    try:
        json.loads(text)
    except (ValueError, RecursionError) as problem:
        raise UsageError(f"{flag}: invalid JSON {sanitize(text)!r}: {problem}") from None
    return text
