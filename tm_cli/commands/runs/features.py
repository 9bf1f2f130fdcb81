"""What a start asks for that not every server can do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tm_cli.api.errors import HttpError
from tm_cli.backends.trafficmorph import locustfiles
from tm_cli.cli.session import CommandContext
from tm_cli.commands.runs.request import ComparisonOptions
from tm_cli.errors import Refused
from tm_cli.values.load.placeholders import needs_filling
from tm_cli.values.urls import require_another

if TYPE_CHECKING:
    from tm_cli.api.trafficmorph import AccountFeatures

PINS = ("baseline_pins", "compare with a baseline of your choice")
LIMITS = ("run_limits", "use limits of your own (`gate`)")
AB_RUN = ("duet", "run against two targets (--against)")
STEPS = ("steps", "judge the steps of a run (`gate.steps`)")
WAITING = ("wait_for_target", "wait until the target answers (--wait-for-target)")
VALUES = ("start_values", "fill in ${NAME} when a run starts")
_OF_THE_LOAD = {
    "waitForTarget": WAITING,
    "warmup": ("warmup", "leave a warm-up out of the verdict (--warmup)"),
    "stopEarly": ("stop_early", "end a run before its time (--stop-early)"),
    "steps": ("journeys", "play several steps (`steps`)"),
    "checks": ("checks", "check answers (`checks`)"),
    "cookies": ("journeys", "keep cookies (`cookies`)"),
    "followRedirects": ("journeys", "follow redirects (`followRedirects`)"),
    "data": ("data", "fill in requests from data (`data`)"),
    "httpVersion": ("http_versions", "choose the version of HTTP"),
    "clientCertificate": ("client_certificates", "show a client certificate to the target"),
    locustfiles.KEY: ("locustfiles", "play a locustfile"),
}
"""What the embedded server alone does, by the key in documents and starts."""


def require_support(
    session: CommandContext,
    comparison: ComparisonOptions,
    load: Mapping[str, Any],
    *,
    documents: Sequence[Mapping[str, Any]] = (),
    ending: str = "; nothing was started",
) -> None:
    """Refuse before anything is sent what the server would leave out in silence.

    `load` are the keys of a start that are about the load; `documents` may have such keys and
    thresholds as well. Raises Refused when the server lacks what is asked for, and UsageError when
    a document's own target is the one to compare it with.
    """
    for document in documents:
        require_another(comparison.against, str(document["endpointUrl"]))
    needs = []
    if comparison.baseline is not None:
        needs.append(PINS)
    if comparison.against is not None:
        needs.append(AB_RUN)
    gates = [comparison.thresholds, *(document.get("gate") or {} for document in documents)]
    needs += [LIMITS] * any(gates) + [STEPS] * any("steps" in gate for gate in gates)
    if any(needs_filling(document) for document in documents):
        needs.append(VALUES)
    for key, feature in _OF_THE_LOAD.items():
        is_off = load.get(key) is False
        if load.get(key) or (not is_off and any(document.get(key) for document in documents)):
            needs.append(feature)
    require_features(session, needs, ending=ending)


def require_features(
    session: CommandContext, needs: Sequence[tuple[str, str]], *, ending: str = ""
) -> None:
    """Raise Refused unless the server says that it can do all of `needs`."""
    if not needs:
        return
    features = features_of(session)
    for name, words in needs:
        if getattr(features, name, None) is not True:
            raise Refused(
                f"this server cannot {words}{ending}",
                hint="the embedded server can: TM_BASE_URL=local",
                code="not_supported",
            )


def features_of(session: CommandContext) -> AccountFeatures | None:
    try:
        return session.account.features
    except HttpError as error:
        if error.status == 404:  # an early server, which can do none of it
            return None
        raise
