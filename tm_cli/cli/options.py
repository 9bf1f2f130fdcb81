"""Options that several commands share: one name, one help text, one rule each."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from tm_cli.cli.session import Session
from tm_cli.errors import UsageError

if TYPE_CHECKING:
    from tm_cli.commands.shared.follow import Manners
    from tm_cli.gate.checks import Check
    from tm_cli.gate.policy import Gate
    from tm_cli.gate.verdict import Verdict

Profile = Annotated[
    str, typer.Argument(metavar="PROFILE", help="Id, name, or path to a profile document.")
]
HistoryId = Annotated[int, typer.Argument(metavar="ID", min=1, max=2**63 - 1, help="History id.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do it without asking.")]
FailOn = Annotated[
    str | None,
    typer.Option(
        "--fail-on",
        "--fail-on-verdict",
        metavar="VERDICTS",
        help="Exit non-zero on these: FAIL,WARN,NO_BASELINE. [TM_FAIL_ON]",
    ),
]
WaitTimeout = Annotated[
    str | None,
    typer.Option(metavar="DURATION", help="Longest wait for the end. [TM_WAIT_TIMEOUT, 30m]"),
]
VerdictTimeout = Annotated[
    str | None,
    typer.Option(
        metavar="DURATION", help="Longest wait for the verdict. [TM_VERDICT_TIMEOUT, 60s]"
    ),
]
Assert = Annotated[
    list[str] | None,
    typer.Option(
        "--assert",
        metavar="CHECK",
        help="Fail unless it holds: p95<400ms, errors<1%, p99<+10%; repeatable.",
    ),
]
Baseline = Annotated[
    int | None,
    typer.Option(
        metavar="ID",
        min=1,
        max=2**63 - 1,
        help="Compare with this run of the history, whatever the server would choose.",
    ),
]
Against = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="Play the run against this target too, half of the requests each, "
        "and compare the profile's target with it.",
    ),
]
AskedBaseline = Annotated[
    int | None,
    typer.Option(
        metavar="ID",
        min=1,
        max=2**63 - 1,
        help="The --baseline of the start: a verdict that rests on another run decides nothing.",
    ),
]
AskedAgainst = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="The --against of the start: a verdict without that target decides nothing.",
    ),
]
OnInterrupt = Annotated[
    str | None,
    typer.Option(
        metavar="ACTION",
        help="What Ctrl-C does to the run: detach or stop. "
        "[TM_ON_INTERRUPT, detach; stop where CI is set]",
    ),
]
Report = Annotated[
    list[str] | None,
    typer.Option(
        "--report",
        metavar="FORMAT=FILE",
        help="Write the outcome to a file: json, junit, markdown, html, csv, dotenv or "
        "metrics=FILE; repeatable.",
    ),
]
GitHub = Annotated[
    bool | None,
    typer.Option(
        "--github/--no-github",
        show_default=False,
        help="Outputs, summary and annotations for GitHub Actions. [found by GITHUB_ACTIONS]",
    ),
]
GitLab = Annotated[
    bool | None,
    typer.Option(
        "--gitlab/--no-gitlab",
        show_default=False,
        help="A collapsed section in GitLab's job log. [found by GITLAB_CI]",
    ),
]
FailFast = Annotated[
    bool, typer.Option("--fail-fast", help="Stop the other runs when one fails the gate.")
]
PollInterval = Annotated[
    str | None,
    typer.Option(metavar="DURATION", help="Pause between two looks. [TM_POLL_INTERVAL, auto]"),
]

Confirm = Annotated[
    int,
    typer.Option(min=0, max=10, metavar="N", help="Repeat a run that would fail, up to N times."),
]
Last = Annotated[
    bool, typer.Option("--last", help="Wait for what was started last in this project.")
]


@dataclass(frozen=True, slots=True)
class GateOptions:
    """A bundle: what fails the gate, and how long it waits."""

    fail_on: FailOn = None
    wait_timeout: WaitTimeout = None
    verdict_timeout: VerdictTimeout = None
    poll_interval: PollInterval = None

    def read(
        self,
        session: Session,
        *,
        checks: list[str] | None = None,
        confirm: int = 0,
        last: bool = False,
    ) -> Gate:
        """Return the gate; see `read_gate`."""
        return read_gate(
            session,
            fail_on=self.fail_on,
            wait_timeout=self.wait_timeout,
            verdict_timeout=self.verdict_timeout,
            poll_interval=self.poll_interval,
            checks=checks,
            confirm=confirm,
            last=last,
        )


@dataclass(frozen=True, slots=True)
class WaitOptions:
    """A bundle: how the wait behaves, and where its outcome is told."""

    on_interrupt: OnInterrupt = None
    report: Report = None
    github: GitHub = None
    gitlab: GitLab = None

    def read(self, session: Session, *, fail_fast: bool = False) -> Manners:
        """Return how the wait behaves; see `read_manners`."""
        return read_manners(
            session,
            on_interrupt=self.on_interrupt,
            fail_fast=fail_fast,
            reports=self.report,
            github=self.github,
            gitlab=self.gitlab,
        )


MOST_TAGS = 20
LONGEST_TAG = 60
_TAG = re.compile(r"[A-Za-z0-9._-]+")


def confirm_deletion(session: Session, what: str, *, yes: bool) -> None:
    """Ask before something is lost; where nobody can be asked, `--yes` must have said it."""
    if yes:
        return
    if not session.terminal.live:
        raise UsageError(f"deleting {what} needs --yes")
    if not typer.confirm(f"Delete {what}?", err=True):
        raise UsageError("nothing was deleted")


def read_fail_on(session: Session, flag: str | None) -> frozenset[Verdict]:
    """Return the verdicts that fail the gate; an empty flag is a mistake, not a default."""
    from tm_cli.gate.verdict import parse_fail_on

    text = session.setting("fail_on", flag)
    return frozenset() if text is None else parse_fail_on(text)


def refuse_torn_verdicts(fail_on: str | None, words: Sequence[str]) -> None:
    """Raise UsageError when a blank beside a comma has made a verdict one of the `words`."""
    from tm_cli.gate.verdict import GATED

    for word in words:
        is_torn = (fail_on or "").rstrip().endswith(",") or word.startswith(",")
        if fail_on is not None and is_torn and word.strip(" ,").upper() in GATED:
            whole = f"{fail_on.strip(' ,')},{word.strip(' ,')}"
            raise UsageError(
                f"--fail-on {fail_on} ends at the blank, and {word} stands alone",
                hint=f"leave no blank beside the comma: --fail-on {whole}",
            )


def refuse_without_wait(**flags: object) -> None:
    """Raise UsageError for flags that say how to wait when nobody waits."""
    for name, value in flags.items():
        if value not in (None, 0, False, []):
            flag = "assert" if name == "checks" else name.replace("_", "-")
            raise UsageError(
                f"--{flag} needs --wait", hint="a run that nobody waits for has no verdict"
            )


def read_gate(
    session: Session,
    *,
    fail_on: str | None,
    wait_timeout: str | None,
    verdict_timeout: str | None,
    poll_interval: str | None,
    checks: list[str] | None = None,
    confirm: int = 0,
    last: bool = False,
) -> Gate:
    """Return the gate that flags and settings describe; sends nothing.

    With `last` the verdicts of the start come before those of the settings: the gate has only what
    the flag names, until `remembered_gate` completes it. Raises ConfigurationError when a settings
    file is ignored.
    """
    from tm_cli.api.retry import LONGEST_PAUSE
    from tm_cli.gate.policy import Gate
    from tm_cli.gate.polling import Pace

    session.settings.require_all_files()
    gate = Gate(
        fail_on=frozenset() if last and fail_on is None else read_fail_on(session, fail_on),
        checks=read_checks(checks or []),
        confirm=confirm,
        wait_timeout=session.setting("wait_timeout", wait_timeout),
        verdict_timeout=session.setting("verdict_timeout", verdict_timeout),
        pace=Pace(interval=session.setting("poll_interval", poll_interval)),
    )
    session.longest_pause = min(gate.wait_timeout, LONGEST_PAUSE)
    return gate


def read_checks(flags: list[str]) -> tuple[Check, ...]:
    """Return the checks that the flags write."""
    from tm_cli.gate.checks import parse_check

    try:
        return tuple(parse_check(flag) for flag in flags)
    except ValueError as problem:
        raise UsageError(f"--assert is not usable: {problem}") from None


def read_manners(
    session: Session,
    *,
    on_interrupt: str | None,
    fail_fast: bool,
    reports: list[str] | None,
    github: bool | None = None,
    gitlab: bool | None = None,
) -> Manners:
    """Return how the wait behaves; where CI is set, nobody comes back to a run left going."""
    from tm_cli.commands.shared.follow import Manners
    from tm_cli.commands.shared.report_sinks import read_sinks

    chosen = session.setting("on_interrupt", on_interrupt)
    if chosen is None:
        chosen = "stop" if session.context.environ.get("CI") else "detach"
    session.reports = read_sinks(session, reports or [], github=github, gitlab=gitlab)
    return Manners(fail_fast=fail_fast, stop_on_interrupt=chosen == "stop", reports=session.reports)


def read_tags(flags: list[str]) -> tuple[str, ...]:
    """Return the tags of repeated or comma-separated flags, by the limits of the API."""
    tags = tuple(tag.strip() for flag in flags for tag in flag.split(",") if tag.strip())
    if len(tags) > MOST_TAGS:
        raise UsageError(f"--tag: {len(tags)} tags are more than {MOST_TAGS}")
    for tag in tags:
        if len(tag) > LONGEST_TAG or not _TAG.fullmatch(tag):
            raise UsageError(
                f"--tag: {tag!r} is no tag",
                hint=f"at most {LONGEST_TAG} letters, digits, dots, underscores and hyphens",
            )
    return tags
