"""What a run is compared with and judged by, and whether the server can do that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import NoneType
from typing import TYPE_CHECKING, Any

from tm_cli.commands.other_target import check_url, require_another
from tm_cli.commands.session import Session
from tm_cli.errors import Refused, UsageError

if TYPE_CHECKING:
    from tm_cli.api.trafficmorph.models import AccountFeatures

PINS = ("baseline_pins", "compare with a baseline of your choice")
LIMITS = ("run_limits", "use limits of your own (`gate`)")
DUET = ("duet", "play a run against two targets (--against)")


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
    session: Session, *, baseline: int | None, against: str | None, profiles: Sequence[str]
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
    thresholds = {name: value for name, (value, _) in session.settings.limits.items()}
    return ComparisonOptions(baseline, None if against is None else check_url(against), thresholds)


def require_support(
    session: Session, comparison: ComparisonOptions, *, profiles: Sequence[str] = ()
) -> None:
    """Refuse before anything is sent what the server would leave out in silence.

    `profiles` are arguments as the user wrote them; documents among them may have thresholds.
    Raises Refused when the server lacks what `comparison` or a document asks for, and UsageError
    when a document's own target is the one to compare it with.
    """
    documents = [found for text in profiles if (found := _document(session, text))]
    for document in documents:
        require_another(comparison.against, str(document["endpointUrl"]))
    needs = []
    if comparison.baseline is not None:
        needs.append(PINS)
    if comparison.against is not None:
        needs.append(DUET)
    if comparison.thresholds or any(document.get("gate") for document in documents):
        needs.append(LIMITS)
    require_features(session, needs, ending="; nothing was started")


def require_features(
    session: Session, needs: Sequence[tuple[str, str]], *, ending: str = ""
) -> None:
    """Raise Refused unless the server says that it can do all of `needs`."""
    if not needs:
        return
    features = _features(session)
    for name, words in needs:
        if getattr(features, name, None) is not True:
            raise Refused(
                f"this server cannot {words}{ending}",
                hint="the embedded server can: TM_BASE_URL=local",
                code="not_supported",
            )


def _features(session: Session) -> AccountFeatures | None:
    from tm_cli.api.errors import HttpError

    try:
        return session.account.features
    except HttpError as error:
        if error.status == 404:  # an early server, which can do none of it
            return None
        raise


def _document(session: Session, text: str) -> dict[str, Any] | None:
    from tm_cli.systems.trafficmorph.profile_documents import names_document, read_document

    return read_document(session.context.cwd / text) if names_document(text) else None
