"""How a run shall be judged: a certain baseline, another target, limits; and who can do that."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tm_cli.commands.session import Session
from tm_cli.errors import Refused, UsageError
from tm_cli.text import clean

if TYPE_CHECKING:
    from tm_cli.api.trafficmorph.models import AccountFeatures

LONGEST_URL = 2048
_UNSAFE = re.compile(r"[\x00-\x20\x7f-\xa0\\]")

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


def read_terms(
    session: Session, *, baseline: int | None, against: str | None, profiles: Sequence[str]
) -> Terms:
    """Return the terms that flags and files set; raises UsageError, and sends nothing."""
    if baseline is not None and against is not None:
        raise UsageError(
            "--baseline and --against contradict each other",
            hint="with --against the run is compared with the other target, not with a run",
        )
    for flag, value in (("--baseline", baseline), ("--against", against)):
        if value is not None and len(profiles) != 1:
            raise UsageError(f"{flag} needs exactly one PROFILE")
    limits = {name: value for name, (value, _) in session.settings.limits.items()}
    return Terms(baseline, None if against is None else _checked_url(against), limits)


def require(session: Session, terms: Terms, *, profiles: Sequence[str] = ()) -> None:
    """Refuse before anything is sent what the server would leave out in silence.

    `profiles` are arguments as the user wrote them; documents among them may have limits. Raises
    Refused when the server lacks what the terms or a document ask for.
    """
    needs = []
    if terms.baseline is not None:
        needs.append(PINS)
    if terms.against is not None:
        needs.append(DUET)
    if terms.limits or any(_has_limits(session, text) for text in profiles):
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


def _has_limits(session: Session, text: str) -> bool:
    from tm_cli.systems.trafficmorph.profile_documents import names_document, read_document

    return names_document(text) and bool(read_document(session.context.cwd / text).get("gate"))


def _checked_url(text: str) -> str:
    """Return the address of a target; raises UsageError for what can be none."""
    url = text.strip()
    if problem := _problem(url):
        raise UsageError(
            f"--against is not usable: {problem}", hint="write for instance http://localhost:8081/"
        )
    return url


def _problem(url: str) -> str | None:
    if not url:
        return "it is empty"
    if len(url) > LONGEST_URL:
        return f"it is longer than {LONGEST_URL} characters"
    if _UNSAFE.search(url):
        return "it holds a space, a backslash or a control character"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        return f"its host or port is malformed ({clean(error)})"
    if parts.scheme not in {"http", "https"}:
        return "it begins with neither http:// nor https://"
    if "@" in parts.netloc:
        return "it holds credentials; put them into the profile's headers"
    if not host or port == 0:
        return "it has no host" if not host else "its port is 0"
    return "it has a fragment" if "#" in url else None
