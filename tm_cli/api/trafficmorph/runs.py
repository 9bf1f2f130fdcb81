"""Runs in flight."""

from __future__ import annotations

from pydantic import Field, StrictBool, StrictInt, StrictStr

from tm_cli.api.client import Lenient
from tm_cli.api.trafficmorph.fields import CamelCasePayload, Counts, JsonText, Number, TextList


class RunControl(CamelCasePayload):
    """The answer to start, stop, pause and resume."""

    run_id: Lenient[StrictStr] = None
    status: Lenient[StrictStr] = None
    profile_id: Lenient[StrictInt] = None


class Bucket(CamelCasePayload):
    """Five seconds of a run; `t` is their middle in seconds, latencies are in milliseconds."""

    t: Number = None
    rps: Number = None
    planned_rps: Number = None
    ok_ratio: Number = None
    bad_ratio: Number = None
    p50_ms: Number = None
    p95_ms: Number = None
    p99_ms: Number = None


class LiveStatus(CamelCasePayload):
    """A run in flight; curve times in seconds, pauses excluded.

    The embedded server's own: `waiting_for`, why it sends no load yet; `warmup_seconds`;
    `stops_early`, whether it ends the run as soon as its verdict is known; and `steps`, the counts
    by step where an arrival is several requests.
    """

    profile_id: Lenient[StrictInt] = None
    run_id: Lenient[StrictStr] = None
    status: Lenient[StrictStr] = None
    region: Lenient[StrictStr] = None
    elapsed_seconds: Number = None
    duration_seconds: Number = None
    requests_sent: Lenient[StrictInt] = None
    response_code_counts: Counts = Field(default_factory=dict)
    current_rps: Number = None
    planned_rps: Number = None
    recent_buckets: Lenient[list[Bucket]] = None
    generator_saturated: Lenient[StrictBool] = None
    downstream_saturated: Lenient[StrictBool] = None
    flaky_dispatch: Lenient[StrictBool] = None
    waiting_for: Lenient[StrictStr] = None
    stops_early: Lenient[StrictBool] = None
    warmup_seconds: Number = None
    steps: JsonText = None
    script_ok: Lenient[StrictInt] = None
    script_errors: Lenient[StrictInt] = None
    tags: TextList = ()
