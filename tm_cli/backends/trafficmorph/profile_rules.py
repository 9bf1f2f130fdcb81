"""What the values of a profile document must not say together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from tm_cli.backends.trafficmorph import locustfiles
from tm_cli.backends.trafficmorph.profile_values import LONGEST
from tm_cli.values.documents import InvalidDocument, shown
from tm_cli.values.load.journeys.steps import step_name
from tm_cli.values.load.placeholders import TOKEN, placeholders
from tm_cli.values.text import did_you_mean, sanitize
from tm_cli.values.thresholds import stretch_problem

OF_JOURNEYS = ("steps", "checks", "cookies", "followRedirects")


def contradictions(
    found: Mapping[str, Any], *, gate: Mapping[str, Any]
) -> Iterator[InvalidDocument]:
    """Yield what is wrong between the values of a document, as far as they are there.

    `gate` has the thresholds under the names that are written.
    """
    yield from _check_token(found)
    yield from _check_curve(found)
    yield from _check_stretches(found, gate)
    yield from _check_steps(found)


def _check_token(found: Mapping[str, Any]) -> Iterator[InvalidDocument]:
    """Refuse a command whose output nothing uses, and a refresh of nothing."""
    if found.get("tokenRefresh") and not found.get("tokenCommand"):
        yield InvalidDocument("tokenRefresh needs a tokenCommand", ("tokenRefresh",))
    if found.get("tokenCommand") and TOKEN not in {each.name for each in placeholders(found)}:
        problem = f"tokenCommand has no use: no value has ${{{TOKEN}}}"
        yield InvalidDocument(problem, ("tokenCommand",))


def _check_curve(found: Mapping[str, Any]) -> Iterator[InvalidDocument]:
    for index, point in enumerate(found.get("points") or ()):
        if point["x"] > (found.get("duration") or LONGEST):
            yield InvalidDocument(
                f"points[{index}] is at {point['x']:g}s, beyond the duration", ("points", index)
            )


def _check_stretches(
    found: Mapping[str, Any], gate: Mapping[str, Any]
) -> Iterator[InvalidDocument]:
    """Refuse what would leave nothing to judge."""
    duration, warmup = found.get("duration") or LONGEST, found.get("warmup") or 0.0
    if warmup >= duration:
        yield InvalidDocument("warmup leaves nothing to judge of the duration", ("warmup",))
    for key in map(str, gate):
        if problem := stretch_problem(key, duration=duration, warmup=warmup):
            yield InvalidDocument(f"gate.{key}: {problem}", ("gate", key))


def _check_steps(found: Mapping[str, Any]) -> Iterator[InvalidDocument]:
    """Refuse what has no meaning with steps; an export names a method, which is its default."""
    used = [key for key in OF_JOURNEYS if found.get(key)]
    if used and found.get(locustfiles.KEY):
        yield InvalidDocument(f"{used[0]} has no effect on a locustfile", (used[0],))
    if used and found.get("httpVersion") == "2":
        yield InvalidDocument(f"{used[0]} cannot be played in HTTP/2", ("httpVersion",))
    if not found.get("steps"):
        return
    own = ["requestPayload"] + ["httpMethod"] * (found.get("_format") is None)
    for key in own:
        if found.get(key):
            yield InvalidDocument(
                f"{key} has no effect on steps: each has a request of its own", (key,)
            )
    if urlsplit(found.get("endpointUrl") or "").query:
        problem = "endpointUrl has a query; with steps it is the beginning of their URLs"
        yield InvalidDocument(problem, ("endpointUrl",))
    names = dict.fromkeys(step_name(step) for step in found["steps"] if "think" not in step)
    for name in (found.get("gate") or {}).get("steps") or ():
        if name not in names:
            hint = did_you_mean(name, names, f"the steps are {', '.join(names)}")
            problem = f"gate.steps names {shown(name)}, which is not one of its steps; {hint}"
            yield InvalidDocument(sanitize(problem), ("gate", "steps", name))
