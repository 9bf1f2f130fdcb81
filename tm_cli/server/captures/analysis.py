"""The answer of an analysis, as section 16.2 of the API's contract has it, with warnings."""

from __future__ import annotations

from typing import Any

from tm_cli.server.captures.groups import Capture, Group
from tm_cli.server.captures.imports import NotImported, profile_of
from tm_cli.server.captures.pattern import Pattern, Variable, pattern_of
from tm_cli.server.captures.urls import Kind
from tm_cli.server.captures.warnings import warnings_of

_MOST_SAMPLES = 3
_LONGEST_SAMPLE = 200
_LONGEST_URL = 2048


def analysis_of(capture: Capture) -> dict[str, Any]:
    line, message = capture.first_error or (None, None)
    return {
        "stats": {
            "totalRequests": capture.total,
            "parseErrorCount": capture.errors,
            "firstParseErrorLine": line,
            "firstParseErrorMessage": message,
            "durationSeconds": round(capture.span, 3),
            "groupCount": len(capture.groups),
        },
        "groups": [_group(capture, kind, group) for kind, group in capture.groups.items()],
    }


def _group(capture: Capture, kind: Kind, group: Group) -> dict[str, Any]:
    arrivals = group.arrivals
    pattern = pattern_of(kind, group)
    return {
        "method": kind.method,
        "urlSkeleton": pattern.url,
        "rowCount": len(group.times),
        "durationSeconds": round(arrivals.span, 3),
        "peakQps": float(arrivals.peak),
        "avgQps": round(arrivals.mean, 3),
        "curve": [{"t": t, "qps": rate} for t, rate in arrivals.shown(capture.origin)],
        "variables": [_variable(each) for each in pattern.variables],
        "sampleUrls": [
            (kind.origin + row.decode().partition("\n")[0])[:_LONGEST_URL]
            for row in list(group.rows)[:_MOST_SAMPLES]
        ],
        "warnings": warnings_of(group, pattern),
        "problem": _problem(kind, group, pattern),
    }


def _problem(kind: Kind, group: Group, pattern: Pattern) -> str | None:
    """Why the group cannot be imported."""
    try:
        profile_of(kind, group, pattern)
    except NotImported as problem:
        return str(problem)
    return None


def _variable(variable: Variable) -> dict[str, Any]:
    return {
        "name": variable.name,
        "source": variable.source,
        "jsonPath": variable.json_path,
        "cardinality": variable.cardinality,
        "distinctCount": variable.distinct,
        "sampleValues": [value[:_LONGEST_SAMPLE] for value in variable.samples],
    }
