"""How a run shall be judged: a certain baseline, another target, limits; and who can do that."""

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
class Terms:
    """What the user asked for beside profile, region and tags; `limits` are those of the files."""

    baseline: int | None = None
    against: str | None = None
    limits: dict[str, Any] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """The part of the start's body that says it."""
        wishes = {
            "baselineRunId": self.baseline,
            "againstUrl": self.against,
            "gate": self.limits or None,
        }
        return {name: value for name, value in wishes.items() if value is not None}

    def comparison(self) -> dict[str, Any]:
        """What the run is compared with, as it is remembered."""
        return {"baseline": self.baseline, "against": self.against}

    @classmethod
    def from_comparison(cls, document: Mapping[str, Any]) -> Terms:
        """Read it again; raises ValueError for what tm did not write."""
        baseline, against = document.get("baseline"), document.get("against")
        if type(baseline) not in (int, NoneType) or not isinstance(against, str | None):
            raise ValueError("what it was compared with is not named")
        return cls(baseline, against)

    def flags(self) -> list[str]:
        """The flags of `tm runs wait` that say what the run is compared with."""
        found = {"--baseline": self.baseline, "--against": self.against}
        return [
            word
            for flag, value in found.items()
            if value is not None
            for word in (flag, str(value))
        ]


def read_terms(
    session: Session, *, baseline: int | None, against: str | None, profiles: Sequence[str]
) -> Terms:
    """Return the terms that flags and files set; sends nothing.

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
    limits = {name: value for name, (value, _) in session.settings.limits.items()}
    return Terms(baseline, None if against is None else check_url(against), limits)


def require(session: Session, terms: Terms, *, profiles: Sequence[str] = ()) -> None:
    """Refuse before anything is sent what the server would leave out in silence.

    `profiles` are arguments as the user wrote them; documents among them may have limits. Raises
    Refused when the server lacks what the terms or a document ask for, and UsageError when a
    document's own target is the one to compare it with.
    """
    documents = [found for text in profiles if (found := _document(session, text))]
    for document in documents:
        require_another(terms.against, str(document["endpointUrl"]))
    needs = []
    if terms.baseline is not None:
        needs.append(PINS)
    if terms.against is not None:
        needs.append(DUET)
    if terms.limits or any(document.get("gate") for document in documents):
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
