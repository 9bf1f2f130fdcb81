"""Recorded traffic: its analysis, its import, and the sources it is read from."""

from __future__ import annotations

from pydantic import StrictInt, StrictStr

from tm_cli.api.client import Instant, Lenient
from tm_cli.api.trafficmorph.fields import CamelCasePayload, Number, TextList


class CaptureStats(CamelCasePayload):
    """Counts of the whole capture; the first line that could not be read, None without any."""

    total_requests: Lenient[StrictInt] = None
    parse_error_count: Lenient[StrictInt] = None
    first_parse_error_line: Lenient[StrictInt] = None
    first_parse_error_message: Lenient[StrictStr] = None
    duration_seconds: Number = None
    group_count: Lenient[StrictInt] = None


class RatePoint(CamelCasePayload):
    """Requests per second at `t` seconds from the start of the capture."""

    t: Number = None
    qps: Number = None


class CaptureVariable(CamelCasePayload):
    """A part of URL or body that varies; `json_path` is that of a body variable."""

    name: Lenient[StrictStr] = None
    source: Lenient[StrictStr] = None
    json_path: Lenient[StrictStr] = None
    cardinality: Lenient[StrictStr] = None
    distinct_count: Lenient[StrictInt] = None
    sample_values: TextList = ()


class CaptureGroup(CamelCasePayload):
    """The requests of one method and one URL skeleton, such as `https://host/users/$$id$$`."""

    method: StrictStr
    url_skeleton: StrictStr
    row_count: Lenient[StrictInt] = None
    duration_seconds: Number = None
    peak_qps: Number = None
    avg_qps: Number = None
    curve: Lenient[list[RatePoint]] = None
    variables: Lenient[list[CaptureVariable]] = None
    sample_urls: TextList = ()
    warnings: TextList = ()
    problem: Lenient[StrictStr] = None
    """Why it cannot be imported; the last two come from the embedded server alone."""


class CaptureAnalysis(CamelCasePayload):
    """What a capture has; nothing is stored."""

    stats: CaptureStats
    groups: list[CaptureGroup]


class CreatedProfile(CamelCasePayload):
    profile_id: StrictInt
    name: Lenient[StrictStr] = None


class SkippedSelection(CamelCasePayload):
    method: Lenient[StrictStr] = None
    url_skeleton: Lenient[StrictStr] = None
    reason: Lenient[StrictStr] = None


class CaptureImport(CamelCasePayload):
    """What an import has made: a profile for each selected group, all of them or none."""

    created_profiles: list[CreatedProfile]
    created_variables_set_count: Lenient[StrictInt] = None
    skipped_selections: Lenient[list[SkippedSelection]] = None
    warnings: TextList = ()


class CaptureSource(CamelCasePayload):
    """A remote directory or bucket of captures; no `root_path` is its login directory or root."""

    id: StrictInt
    name: Lenient[StrictStr] = None
    kind: Lenient[StrictStr] = None
    root_path: Lenient[StrictStr] = None
    last_listed_at: Instant = None
    last_error: Lenient[StrictStr] = None
    created_at: Instant = None
    updated_at: Instant = None


class CaptureSourceFile(CamelCasePayload):
    """A file of a source; a `size` of 0 or -1 is unknown, as is a time at the epoch's start."""

    path: StrictStr
    size: Lenient[StrictInt] = None
    modified_at: Instant = None
