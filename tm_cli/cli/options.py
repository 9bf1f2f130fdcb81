"""Options that several commands share: each with one name, one help text and one rule."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tm_cli.cli.help_page import COMPARISON, GATE, LOAD, REPORTS, TARGET, WAITING
from tm_cli.cli.session import CommandContext
from tm_cli.completion.candidates import Words, complete_profiles, complete_verdicts, list_files
from tm_cli.errors import ConfigurationError, UsageError
from tm_cli.runtime.ci_platform import ci_platform
from tm_cli.runtime.signals import InterruptAction
from tm_cli.values.text import sanitize

if TYPE_CHECKING:
    from datetime import datetime

    from tm_cli.commands.shared.follow import WaitBehavior
    from tm_cli.gate.checks import Condition
    from tm_cli.gate.live_limits import LiveLimit
    from tm_cli.gate.policy import Gate
    from tm_cli.values.verdict import Verdict


class System(StrEnum):
    """The systems that tm gates on."""

    TRAFFICMORPH = "trafficmorph"
    RUNLOOP = "runloop"
    STRAIT = "strait"


class ComparisonFormat(StrEnum):
    """How two runs are shown."""

    TABLE = "table"
    JSON = "json"
    MARKDOWN = "markdown"


def complete_reports(ctx: typer.Context, incomplete: str) -> Words:
    """Complete a report format, then the file to write."""
    from tm_cli.commands.shared.report_sinks import Format

    form, separator, file = incomplete.partition("=")
    if not separator:
        return [f"{item.value}=" for item in Format]
    return [f"{form}={item.value}" for item in list_files(ctx.obj.cwd, file)]


Profile = Annotated[
    str,
    typer.Argument(
        metavar="PROFILE",
        autocompletion=complete_profiles,
        help="Profile id, name, or path to a profile document.",
    ),
]
Since = Annotated[
    str | None,
    typer.Option(
        "--from",
        metavar="TIME",
        help="Earliest time: ISO 8601, or a duration before now such as 1h.",
    ),
]
Until = Annotated[str | None, typer.Option("--to", metavar="TIME", help="Latest time, likewise.")]
EndedRun = Annotated[
    str,
    typer.Argument(
        metavar="RUN",
        help="History id, run id or the beginning of one, `latest` or `latest:PROFILE`.",
    ),
]
AllowPublicTargets = Annotated[
    bool,
    typer.Option(
        "--allow-public-targets",
        help="Allow load on targets with public addresses. [TM_ALLOW_PUBLIC_TARGETS]",
    ),
]
Locustfiles = Annotated[
    list[str] | None,
    typer.Option(
        "--locustfile",
        metavar="FILE",
        help="Locustfile that profiles may name by its SHA-256; repeatable.",
    ),
]
AccessLog = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="WARN if the run's mix of requests differs from that of this access log.",
        rich_help_panel=COMPARISON,
    ),
]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")]
FailOn = Annotated[
    str | None,
    typer.Option(
        "--fail-on",
        "--fail-on-verdict",
        metavar="VERDICTS",
        autocompletion=complete_verdicts,
        help="Verdicts that fail the gate: FAIL,WARN,NO_BASELINE. [TM_FAIL_ON]",
        rich_help_panel=GATE,
    ),
]
WarnOn = Annotated[
    str | None,
    typer.Option(
        "--warn-on",
        metavar="VERDICTS",
        autocompletion=complete_verdicts,
        help="Verdicts that pass with a warning; none of those in --fail-on. [TM_WARN_ON]",
        rich_help_panel=GATE,
    ),
]
WaitTimeout = Annotated[
    str | None,
    typer.Option(
        metavar="DURATION",
        help="Maximum time to wait for the run to finish. [TM_WAIT_TIMEOUT, 30m]",
        rich_help_panel=WAITING,
    ),
]
VerdictTimeout = Annotated[
    str | None,
    typer.Option(
        metavar="DURATION",
        help="Maximum time to wait for the verdict after the run. [TM_VERDICT_TIMEOUT, 60s]",
        rich_help_panel=WAITING,
    ),
]
Assert = Annotated[
    list[str] | None,
    typer.Option(
        "--assert",
        metavar="CHECK",
        help='Fail unless the run meets this condition, e.g. "p95<400ms", '
        '"errors<1%", "p99<+10%" or "target.cpu<80%"; repeatable. [TM_ASSERT]',
        rich_help_panel=GATE,
    ),
]
AbortIf = Annotated[
    list[str] | None,
    typer.Option(
        "--abort-if",
        metavar="LIMIT",
        help='Stop the run and fail as soon as this holds, e.g. "p95>2s for 30s" or '
        '"errors>20% for 10s"; repeatable. [TM_ABORT_IF]',
        rich_help_panel=GATE,
    ),
]
Format = Annotated[
    ComparisonFormat,
    typer.Option("--format", metavar="FORMAT", case_sensitive=False, help="Output format."),
]
Baseline = Annotated[
    int | None,
    typer.Option(
        metavar="ID",
        min=1,
        max=2**63 - 1,
        help="History id of the run to compare with, instead of the one the server selects.",
        rich_help_panel=COMPARISON,
    ),
]
Against = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="Second target of an A/B run: each target gets half of the requests, "
        "and the profile's target is compared with this one.",
        rich_help_panel=COMPARISON,
    ),
]
Region = Annotated[
    str | None,
    typer.Option(
        metavar="REGION",
        help="Region that generates the load. [TM_REGION]",
        rich_help_panel=LOAD,
    ),
]
WaitForTarget = Annotated[
    str | None,
    typer.Option(
        metavar="DURATION",
        help="Maximum time to wait until the target answers, before the load is sent. "
        "[TM_WAIT_FOR_TARGET]",
        rich_help_panel=LOAD,
    ),
]
Warmup = Annotated[
    str | None,
    typer.Option(
        metavar="DURATION",
        help="First seconds of the run, which are sent but not judged, instead of the profile's. "
        "[TM_WARMUP]",
        rich_help_panel=LOAD,
    ),
]
StopEarly = Annotated[
    bool | None,
    typer.Option(
        "--stop-early/--no-stop-early",
        show_default=False,
        help="End the run as soon as its verdict is known. [TM_STOP_EARLY, on with --against]",
        rich_help_panel=LOAD,
    ),
]
Tags = Annotated[
    list[str] | None,
    typer.Option("--tag", metavar="TAG", help="Tag of the run; repeatable.", rich_help_panel=LOAD),
]
AskedBaseline = Annotated[
    int | None,
    typer.Option(
        metavar="ID",
        min=1,
        max=2**63 - 1,
        help="The --baseline of the start; a verdict based on another run leaves "
        "the gate undecided.",
        rich_help_panel=COMPARISON,
    ),
]
AskedAgainst = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="The --against of the start; a verdict without that target leaves the gate undecided.",
        rich_help_panel=COMPARISON,
    ),
]
Serve = Annotated[
    str | None,
    typer.Option(
        metavar="COMMAND",
        help="Start the service to test before the run, and end it with all its processes "
        "afterwards; no shell reads the command.",
        rich_help_panel=TARGET,
    ),
]
ServeLog = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="Output of the service. [a new file in the data directory]",
        rich_help_panel=TARGET,
    ),
]
TargetPid = Annotated[
    int | None,
    typer.Option(
        metavar="PID",
        min=1,
        help="Record CPU time and memory of this process and those below it.",
        rich_help_panel=TARGET,
    ),
]
Metric = Annotated[
    list[str] | None,
    typer.Option(
        "--metric",
        metavar="NAME=QUERY",
        help="Record a query of --prometheus during the run; repeatable.",
        rich_help_panel=TARGET,
    ),
]
Prometheus = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="Prometheus server for --metric; ${NAME} in it is an environment variable.",
        rich_help_panel=TARGET,
    ),
]
OnInterrupt = Annotated[
    InterruptAction | None,
    typer.Option(
        metavar="ACTION",
        case_sensitive=False,
        help="What happens to the run on Ctrl-C. [TM_ON_INTERRUPT, detach; stop in CI]",
        rich_help_panel=WAITING,
    ),
]
Report = Annotated[
    list[str] | None,
    typer.Option(
        "--report",
        metavar="FORMAT=FILE",
        autocompletion=complete_reports,
        help="Write a report: json, junit, markdown, html, csv, dotenv or metrics; repeatable.",
        rich_help_panel=REPORTS,
    ),
]
GitHub = Annotated[
    bool | None,
    typer.Option(
        "--github/--no-github",
        show_default=False,
        help="Write step outputs, summary and annotations for GitHub Actions. [on "
        "if GITHUB_ACTIONS is set]",
        rich_help_panel=REPORTS,
    ),
]
GitLab = Annotated[
    bool | None,
    typer.Option(
        "--gitlab/--no-gitlab",
        show_default=False,
        help="Write a collapsed section in GitLab's job log. [on if GITLAB_CI is set]",
        rich_help_panel=REPORTS,
    ),
]
FailFast = Annotated[
    bool,
    typer.Option(
        "--fail-fast", help="Stop the other runs when one fails the gate.", rich_help_panel=GATE
    ),
]
Parallel = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Number of runs at a time. [1 on the embedded server, otherwise all that the server "
        "permits]",
        rich_help_panel=WAITING,
    ),
]
PollInterval = Annotated[
    str | None,
    typer.Option(
        metavar="DURATION",
        help="Polling interval. [TM_POLL_INTERVAL, auto]",
        rich_help_panel=WAITING,
    ),
]

Confirm = Annotated[
    int,
    typer.Option(
        min=0,
        max=10,
        metavar="N",
        help="Repeat a failing run up to N times; fail only if all of them fail.",
        rich_help_panel=GATE,
    ),
]
Last = Annotated[bool, typer.Option("--last", help="Wait for the last start of this project.")]


@dataclass(frozen=True, slots=True)
class GateOptions:
    """A bundle: what fails the gate, and how long it waits."""

    fail_on: FailOn = None
    warn_on: WarnOn = None
    wait_timeout: WaitTimeout = None
    verdict_timeout: VerdictTimeout = None
    poll_interval: PollInterval = None

    def read(
        self,
        session: CommandContext,
        *,
        checks: list[str] | None = None,
        metrics: Collection[str] | None = None,
        abort_if: Sequence[LiveLimit] = (),
        confirm: int = 0,
        last: bool = False,
    ) -> Gate:
        """Return the gate that flags and settings describe; sends nothing.

        `metrics` are the names of what is recorded, where they are known.
        With `last` the verdicts of the start come before those of the settings: the gate has only
        what the flag names, until `complete_gate` adds the rest. Raises UsageError when a verdict
        is to fail and to warn, and ConfigurationError when a settings file is ignored.
        """
        from tm_cli.gate.policy import Gate
        from tm_cli.gate.polling import PollingPolicy

        session.settings.require_all_files()
        _note_unused_conditions(session)
        takes_remembered = last and self.fail_on is None
        fail_on = frozenset() if takes_remembered else read_fail_on(session, self.fail_on)
        return Gate(
            fail_on=fail_on,
            warn_on=_read_warn_on(session, self.warn_on, fail_on),
            checks=read_checks(checks or [], metrics),
            abort_if=tuple(abort_if),
            confirm=confirm,
            wait_timeout=session.setting("wait_timeout", self.wait_timeout),
            verdict_timeout=session.setting("verdict_timeout", self.verdict_timeout),
            polling=PollingPolicy(interval=session.setting("poll_interval", self.poll_interval)),
        )


@dataclass(frozen=True, slots=True)
class StartOptions:
    """A bundle: what a run is compared with, and how its load is sent."""

    baseline: Baseline = None
    against: Against = None
    region: Region = None
    tag: Tags = None
    wait_for_target: WaitForTarget = None
    warmup: Warmup = None
    stop_early: StopEarly = None
    access_log: AccessLog = None


@dataclass(frozen=True, slots=True)
class TargetOptions:
    """A bundle: the service that is started for the run, and what is recorded of the target."""

    serve: Serve = None
    serve_log: ServeLog = None
    target_pid: TargetPid = None
    metric: Metric = None
    prometheus: Prometheus = None


@dataclass(frozen=True, slots=True)
class WaitOptions:
    """A bundle: how the wait behaves, and where its outcome is reported."""

    on_interrupt: OnInterrupt = None
    report: Report = None
    github: GitHub = None
    gitlab: GitLab = None

    @contextmanager
    def open(
        self, session: CommandContext, *, fail_fast: bool = False, serves: bool = False
    ) -> Iterator[WaitBehavior]:
        """Return how the wait behaves; an error inside is written to its reports as well.

        In CI, nothing comes back to a run that is left going: Ctrl-C stops it, as it does where tm
        `serves` the target and ends it.
        """
        from tm_cli.commands.shared.follow import WaitBehavior
        from tm_cli.commands.shared.report_sinks import read_sinks

        chosen = session.setting("on_interrupt", self.on_interrupt)
        if chosen is None:
            chosen = "stop" if ci_platform(session.context.environ) else "detach"
        if serves and self.on_interrupt is InterruptAction.DETACH:
            raise UsageError(
                "--on-interrupt detach contradicts --serve",
                hint="the service ends with tm, and a run that goes on would have no target",
            )
        reports = read_sinks(session, self.report or [], github=self.github, gitlab=self.gitlab)
        with reports.covering():
            yield WaitBehavior(
                fail_fast, stop_on_interrupt=chosen == "stop" or serves, reports=reports
            )


def _note_unused_conditions(session: CommandContext) -> None:
    """Say that conditions on traffic are not those of jobs and benchmarks, also with --quiet."""
    from tm_cli.settings import TRAFFICMORPH

    for name in ("assert", "abort_if"):
        setting = session.settings[name]
        if setting.value and session.system != TRAFFICMORPH:
            session.terminal.write_line(
                f"tm: {name} ({setting.origin}) counts in `tm runs`; this gate does not check it"
            )


MOST_TAGS = 20
LONGEST_TAG = 60
_TAG = re.compile(r"[A-Za-z0-9._-]+")


def confirm_deletion(session: CommandContext, what: str, *, yes: bool) -> None:
    """Ask before something is lost; without a terminal, `--yes` is required."""
    if yes:
        return
    if not session.terminal.live:
        raise UsageError(f"--yes is required to delete {what}")
    if not typer.confirm(f"Delete {what}?", err=True):
        raise UsageError("nothing was deleted")


def read_fail_on(session: CommandContext, flag: str | None) -> frozenset[Verdict]:
    """Return the verdicts that fail the gate; an empty flag is a mistake, not a default."""
    from tm_cli.values.verdict import parse_fail_on

    text = session.setting("fail_on", flag)
    return frozenset() if text is None else parse_fail_on(text)


def _read_warn_on(
    session: CommandContext, flag: str | None, fail_on: frozenset[Verdict]
) -> frozenset[Verdict]:
    """Return the verdicts that pass with a warning; raises UsageError for one of `fail_on`."""
    from tm_cli.values.verdict import format_fail_on, parse_warn_on

    text = session.setting("warn_on", flag)
    verdicts: frozenset[Verdict] = frozenset() if text is None else parse_warn_on(text)
    if both := verdicts & fail_on:
        raise UsageError(
            f"--warn-on and --fail-on both name {format_fail_on(both)}",
            hint="a verdict fails the gate or passes with a warning: name it in one of them "
            "(`tm config show` tells where a value comes from)",
        )
    return verdicts


def reject_space_after_comma(fail_on: str | None, words: Sequence[str]) -> None:
    """Raise UsageError when a space has made a verdict of `--fail-on` one of the `words`."""
    from tm_cli.values.verdict import GATED

    for word in words:
        has_comma = (fail_on or "").rstrip().endswith(",") or word.startswith(",")
        plain = word.strip(" ,")
        is_verdict = plain.upper() in GATED if has_comma else len(words) > 1 and plain in GATED
        if fail_on is not None and is_verdict:
            whole = f"{fail_on.strip(' ,')},{plain}"
            raise UsageError(
                f"--fail-on {fail_on} ends at the space; {word} is a separate argument",
                hint=f"separate verdicts with a comma and no space: --fail-on {whole}",
            )


def refuse_without_wait(**flags: object) -> None:
    """Raise UsageError for options of a wait that are given without --wait."""
    for name, value in flags.items():
        if value not in (None, 0, False, []):
            flag = "assert" if name == "checks" else name.replace("_", "-")
            hint = "without --wait there is no verdict"
            if name == "abort_if":
                hint = "tm stops the run itself, and without --wait it does not watch it"
            if name == "serve":
                hint = "tm ends the service when the run has ended, and without --wait it is gone"
            raise UsageError(f"--{flag} needs --wait", hint=hint)


def read_locustfiles(session: CommandContext, named: list[str] | None) -> tuple[Path, ...]:
    """Return the files; raises ConfigurationError for one that cannot be read."""
    from tm_cli.runtime.locustfile import UnusableLocustfile, read_locustfile

    paths = tuple(session.context.cwd / text for text in named or ())
    try:
        for path in paths:
            read_locustfile(path)
    except UnusableLocustfile as problem:
        raise ConfigurationError(str(problem)) from None
    return paths


def read_checks(flags: list[str], metrics: Collection[str] | None = None) -> tuple[Condition, ...]:
    """Return the checks that the flags write; `metrics` are the names of what is recorded."""
    from tm_cli.gate.target_metrics import parse_condition

    try:
        return tuple(parse_condition(flag, metrics) for flag in flags)
    except ValueError as problem:
        raise UsageError(f"--assert: {problem}") from None


def with_assert_setting(
    session: CommandContext, flags: list[str] | None, metrics: Collection[str] | None = None
) -> list[str]:
    """Return the checks of the setting and those of the flags: a flag takes none of them away.

    Raises ConfigurationError for a setting that is no check.
    """
    from tm_cli.gate.target_metrics import parse_condition

    found = _conditions_set(session, "assert", lambda text: parse_condition(text, metrics))
    return [*found, *(text for text in flags or () if text not in found)]


def read_abort_if(
    session: CommandContext, flags: Sequence[str] | None, *, only_flags: bool = False
) -> tuple[LiveLimit, ...]:
    """Return the live limits of the setting, unless `only_flags`, and those of the flags.

    Raises ConfigurationError for a setting that is no limit, and UsageError for such a flag.
    """
    from tm_cli.gate.live_limits import parse_live_limit

    found = [] if only_flags else _conditions_set(session, "abort_if", parse_live_limit)
    limits = [parse_live_limit(text) for text in found]
    try:
        limits += map(parse_live_limit, flags or ())
    except ValueError as problem:
        raise UsageError(f"--abort-if: {problem}") from None
    return tuple(dict.fromkeys(limits))


def _conditions_set(
    session: CommandContext, name: str, parse: Callable[[str], object]
) -> list[str]:
    """Return the conditions of a setting; raises ConfigurationError when `parse` refuses one."""
    from tm_cli.settings.definitions import split_checks
    from tm_cli.settings.resolution import refusal

    setting = session.settings[name]
    found = split_checks(setting.value or "")
    try:
        for text in found:
            parse(text)
    except ValueError as problem:
        raise refusal(setting.origin, f"{name}, from {setting.origin}: {problem}") from None
    return found


def read_time(flag: str, text: str, *, now: datetime | None = None) -> str:
    """Return a time with an offset, which the APIs demand; without one it is local time.

    With `now`, a duration such as `1h` means that long before it.
    """
    from datetime import datetime, timedelta

    from tm_cli.values.durations import parse_duration

    with suppress(ValueError, OverflowError):
        return datetime.fromisoformat(text).astimezone().isoformat()
    if now is not None and not text.strip().isdigit():
        with suppress(ValueError):
            return (now - timedelta(seconds=parse_duration(text))).isoformat()
    raise UsageError(
        f"{flag}: invalid time {text!r}",
        hint="expected ISO 8601, e.g. 2026-03-01T12:00:00+01:00"
        + (", or how long ago, e.g. 1h" if now is not None else ""),
    )


def read_tags(flags: list[str]) -> tuple[str, ...]:
    """Return the tags of repeated or comma-separated flags, by the limits of the API."""
    tags = tuple(tag.strip() for flag in flags for tag in flag.split(",") if tag.strip())
    if len(tags) > MOST_TAGS:
        raise UsageError(f"--tag: too many tags: {len(tags)} (maximum {MOST_TAGS})")
    for tag in tags:
        if len(tag) > LONGEST_TAG or not _TAG.fullmatch(tag):
            raise UsageError(
                f"--tag: invalid tag {tag!r}",
                hint=f"at most {LONGEST_TAG} letters, digits, dots, underscores and hyphens",
            )
    return tags


def read_pairs(
    flag: str,
    values: Sequence[str] | None,
    *,
    most: int | None = None,
    longest: tuple[int, int] | None = None,
) -> dict[str, str]:
    """Return `KEY=VALUE` flags as a mapping; raises UsageError for anything else.

    At most `most` pairs, with keys and values of at most `longest` characters.
    """
    pairs: dict[str, str] = {}
    for text in values or ():
        key, separator, value = text.partition("=")
        if not separator or not key.strip():
            raise UsageError(f"{flag}: expected KEY=VALUE instead of {text!r}")
        if key in pairs:
            raise UsageError(f"{flag}: {key!r} is given twice")
        if longest is not None and (len(key) > longest[0] or len(value) > longest[1]):
            raise UsageError(
                f"{flag}: {sanitize(text, longest=60)!r} is too long",
                hint=f"at most {longest[0]} characters before the =, {longest[1]} after it",
            )
        pairs[key] = value
    if most is not None and len(pairs) > most:
        raise UsageError(f"{flag}: too many pairs: {len(pairs)} (maximum {most})")
    return pairs
