"""What the options of a start ask for, and what its run is compared with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import NoneType
from typing import TYPE_CHECKING, Any

from tm_cli.backends.trafficmorph import locustfiles
from tm_cli.cli.options import StartOptions, read_tags
from tm_cli.cli.session import CommandContext
from tm_cli.errors import UsageError
from tm_cli.values.urls import check_url

if TYPE_CHECKING:
    from tm_cli.sources.access_log import LoggedMix


@dataclass(frozen=True, slots=True)
class ComparisonOptions:
    """What a run is compared with, and the thresholds of the settings files."""

    baseline: int | None = None
    against: str | None = None
    thresholds: dict[str, Any] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """Return its part of the body of a start."""
        fields = {
            "baselineRunId": self.baseline,
            "againstUrl": self.against,
            "gate": self.thresholds or None,
        }
        return {name: value for name, value in fields.items() if value is not None}

    def remembered(self) -> dict[str, Any]:
        """Return what `--last` needs of it."""
        return {"baseline": self.baseline, "against": self.against}

    @classmethod
    def from_remembered(cls, document: Mapping[str, Any]) -> ComparisonOptions:
        """Read it again; raises ValueError for what tm did not write."""
        baseline, against = document.get("baseline"), document.get("against")
        if type(baseline) not in (int, NoneType) or not isinstance(against, str | None):
            raise ValueError("what it was compared with is not named")
        return cls(baseline, against)

    def flags(self) -> list[str]:
        """Return the flags of `tm runs wait` for the same comparison."""
        found = {"--baseline": self.baseline, "--against": self.against}
        return [
            word
            for flag, value in found.items()
            if value is not None
            for word in (flag, str(value))
        ]


def read_comparison(
    session: CommandContext, *, baseline: int | None, against: str | None, profiles: Sequence[str]
) -> ComparisonOptions:
    """Return what flags and files set; sends nothing.

    Raises UsageError, and ConfigurationError when a settings file is ignored.
    """
    if baseline is not None and against is not None:
        raise UsageError(
            "--baseline and --against contradict each other",
            hint="with --against the run is compared with the other target, not with a run",
        )
    for flag, value in (("--baseline", baseline), ("--against", against)):
        if value is not None and len(profiles) != 1:
            raise UsageError(f"{flag} needs exactly one PROFILE")
    session.settings.require_all_files()
    thresholds = {name: value for name, (value, _) in session.settings.thresholds.items()}
    return ComparisonOptions(baseline, None if against is None else check_url(against), thresholds)


@dataclass(frozen=True, slots=True)
class StartRequest:
    profiles: tuple[str, ...]
    region: str | None = None
    tags: tuple[str, ...] = ()
    comparison: ComparisonOptions = field(default_factory=ComparisonOptions)
    wait_for_target: float | None = None
    warmup: float | None = None
    stop_early: bool | None = None
    commit: str | None = None
    parallel: int | None = None
    document: Mapping[str, Any] | None = None
    """A profile that is in no file; `profiles` then holds what the user wrote for it."""
    serves: bool = False
    """Whether tm starts the target itself."""
    access_log: LoggedMix | None = None
    """The traffic that the run's mix of requests is compared with."""
    locustfile: Mapping[str, Any] | None = None
    """Where a server on this machine finds the locustfile of the profile."""

    @property
    def load(self) -> dict[str, Any]:
        """What the body of a start says about how to run."""
        own = {
            "waitForTarget": self.wait_for_target,
            "warmup": self.warmup,
            "stopEarly": self.stop_early,
        }
        return {name: value for name, value in own.items() if value is not None}

    @property
    def terms(self) -> dict[str, Any]:
        """What it says about how to run and how to judge."""
        located = {locustfiles.KEY: self.locustfile} if self.locustfile else {}
        return self.comparison.document() | self.load | located


def read_request(
    session: CommandContext,
    profiles: Sequence[str],
    chosen: StartOptions,
    *,
    parallel: int | None = None,
    document: Mapping[str, Any] | None = None,
    serves: bool = False,
) -> StartRequest:
    """Return what the options of a start ask for; sends nothing. Raises as `read_comparison`."""
    return StartRequest(
        profiles=tuple(profiles),
        region=session.setting("region", chosen.region),
        tags=read_tags(chosen.tag or []),
        comparison=read_comparison(
            session, baseline=chosen.baseline, against=chosen.against, profiles=profiles
        ),
        wait_for_target=session.setting("wait_for_target", chosen.wait_for_target),
        warmup=session.setting("warmup", chosen.warmup),
        stop_early=session.setting("stop_early", _as_text(chosen.stop_early)),
        commit=session.setting("commit", None),
        parallel=parallel,
        document=document,
        serves=serves,
        access_log=_read_access_log(session, chosen.access_log),
    )


def _read_access_log(session: CommandContext, file: str | None) -> LoggedMix | None:
    if file is None:
        return None
    from tm_cli.commands.profiles.new import explained, read_log
    from tm_cli.sources.drift import comparable

    with explained(file):
        return comparable(read_log(session, file))


def _as_text(flag: bool | None) -> str | None:
    return None if flag is None else str(flag)
