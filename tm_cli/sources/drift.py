"""How far the requests of a profile are from those of an access log."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

from tm_cli.sources.access_log import LoggedMix
from tm_cli.sources.privacy import ASSET, template_of
from tm_cli.sources.traffic import UnusableSource
from tm_cli.values.documents import InvalidDocument
from tm_cli.values.load.journeys.steps import MACRO, read_steps, request_of

LIMIT = 0.10
"""The share of requests that may be others than the log's before that is a warning."""
FEWEST = 100
"""With fewer requests a log says little."""
_SHOWN = 5


class UnknownMix(ValueError):
    """The profile does not say what its visitors request."""


Kind = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Drift:
    """`distance`: the share of the profile's requests, 0 to 1, that the log has of other kinds.

    `differences` are the kinds that contribute most: share in the profile, and in the log.
    """

    distance: float
    differences: Sequence[tuple[str, float, float]]

    @property
    def is_large(self) -> bool:
        return self.distance > LIMIT

    @property
    def text(self) -> str:
        listed = ", ".join(
            f"{name} {tested:.0%} of the test and {logged:.0%} of the log"
            for name, tested, logged in self.differences
        )
        return f"the mix of requests differs from the access log by {self.distance:.0%}: {listed}"


def comparable(mix: LoggedMix) -> LoggedMix:
    """The mix if there is enough of it; raises UnusableSource."""
    if mix.total < FEWEST:
        raise UnusableSource(f"it has {mix.total} requests; a comparison needs {FEWEST}")
    return mix


def drift_between(profile: Mapping[str, Any], mix: LoggedMix) -> Drift:
    """Compare a profile with a log: the total variation distance. Raises UnknownMix."""
    tested = shares_of(profile)
    if mix.assets:  # they were not counted
        tested = {kind: share for kind, share in tested.items() if not ASSET.search(kind[1])}
        total = sum(tested.values()) or 1.0
        tested = {kind: share / total for kind, share in tested.items()}
    logged: dict[Kind, float] = {}
    for (method, path), count in mix.kinds.items():
        kind = method, _template(path)
        logged[kind] = logged.get(kind, 0.0) + count / mix.total
    kinds = sorted(
        tested.keys() | logged.keys(),
        key=lambda kind: (-abs(tested.get(kind, 0.0) - logged.get(kind, 0.0)), kind),
    )
    distance = sum(abs(tested.get(kind, 0.0) - logged.get(kind, 0.0)) for kind in kinds)
    distance = (distance + mix.others / mix.total) / 2
    shown = [
        (" ".join(kind), tested.get(kind, 0.0), logged.get(kind, 0.0)) for kind in kinds[:_SHOWN]
    ]
    return Drift(distance, shown)


def shares_of(profile: Mapping[str, Any]) -> dict[Kind, float]:
    """The share of each method and path template in the requests of a profile."""
    if profile.get("locustfile"):
        raise UnknownMix("what the visitors of a locustfile request is known only when they do")
    base = urlsplit(str(profile["endpointUrl"]))
    try:
        steps = read_steps(profile["steps"]) if profile.get("steps") else None
    except InvalidDocument as problem:
        raise UnknownMix(f"the steps of the profile {problem}") from None
    if steps is None:
        return {(str(profile.get("httpMethod") or "GET"), _template(base.path)): 1.0}
    counts: Counter[Kind] = Counter()
    for kind, expected in _expected(steps, base.netloc, base.path.rstrip("/")):
        counts[kind] += expected  # type: ignore[assignment]  # shares are counted
    total = counts.total()
    return {kind: count / total for kind, count in counts.items()} if total else {}


def _expected(
    steps: Sequence[Mapping[str, Any]], host: str, base: str
) -> Iterator[tuple[Kind, float]]:
    """How often a visitor sends each request to the target."""
    group: list[Mapping[str, Any]] = []
    for step in [*steps, {}]:
        if group and "weight" not in step:
            total = sum(float(each["weight"]) for each in group) or 1.0
            for each in group:
                yield from _kind(each, host, base, float(each["weight"]) / total)
            group = []
        if "weight" in step:
            group.append(step)
        elif "request" in step:
            yield from _kind(step, host, base, 1.0)


def _kind(
    step: Mapping[str, Any], host: str, base: str, share: float
) -> Iterator[tuple[Kind, float]]:
    method, url = request_of(step)
    parts = urlsplit(url)
    if not parts.netloc:
        yield (method, _template(base + parts.path)), share
    elif parts.netloc == host:
        yield (method, _template(parts.path)), share


def _template(path: str) -> str:
    return template_of(MACRO.sub("$$id$$", unquote(path)) or "/")
