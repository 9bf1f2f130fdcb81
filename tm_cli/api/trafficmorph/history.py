"""Runs that have ended, and how two of them compare."""

from __future__ import annotations

from pydantic import Field, StrictInt, StrictStr

from tm_cli.api.client import Instant, Lenient
from tm_cli.api.trafficmorph.fields import CamelCasePayload, JsonText, Number, RowRunId, TextList


class HistoryRow(CamelCasePayload):
    """A run that has ended, as a list row or in detail.

    `outcome`, `against` (the second target of an A/B run), `against_url`, `load_fingerprint` (equal
    for runs that may be compared), `notes` and `addresses` (requests by address of the target) are
    the embedded server's, as are `stopped_after_seconds`, of a run that was stopped early,
    `curve_seconds`, which it would have taken, `steps`, the results by step, and `latency_changes`
    by quantile since the baseline, in percent.
    """

    id: Lenient[StrictInt] = None
    run_id: RowRunId = None
    profile_id: Lenient[StrictInt] = None
    profile_name: Lenient[StrictStr] = None
    started_at: Instant = None
    finished_at: Instant = None
    created_at: Instant = None
    duration_seconds: Number = None
    total_requests: Lenient[StrictInt] = None
    total_errors: Lenient[StrictInt] = None
    avg_rps: Number = None
    peak_rps: Number = None
    success_rate: Number = None
    auto_verdict: Lenient[StrictStr] = None
    auto_verdict_reasons: JsonText = None
    triggered_by: Lenient[StrictStr] = None
    region: Lenient[StrictStr] = None
    region_display_name: Lenient[StrictStr] = None
    tags: TextList = ()
    target_url: Lenient[StrictStr] = None
    response_codes: JsonText = None
    latency_quantiles: JsonText = None
    rps_series: JsonText = None
    latency_series: JsonText = None
    secondary_stats: JsonText = None
    script_stats: JsonText = None
    auto_compare_snapshot: JsonText = None
    auto_compare_baseline_run_id: Lenient[StrictInt] = None
    outcome: Lenient[StrictStr] = None
    against: JsonText = None
    against_url: Lenient[StrictStr] = None
    load_fingerprint: Lenient[StrictStr] = None
    notes: TextList = ()
    addresses: JsonText = None
    protocol: Lenient[StrictStr] = None
    bodies: JsonText = None
    repeated: Lenient[StrictInt] = None
    warmup_seconds: Number = None
    judged: JsonText = None
    cpu_pressure: Number = None
    steps: JsonText = None
    stopped_after_seconds: Number = None
    curve_seconds: Number = None
    latency_changes: JsonText = None


class HistoryPage(CamelCasePayload):
    """One page of ended runs, newest first."""

    content: list[HistoryRow]
    page: Lenient[StrictInt] = None
    size: Lenient[StrictInt] = None
    total_elements: Lenient[StrictInt] = None
    total_pages: Lenient[StrictInt] = None


class RunComparison(CamelCasePayload):
    """Two runs compared by the server (section 11 of its contract); `run_a` is the newer one."""

    run_a: Lenient[HistoryRow] = None
    run_b: Lenient[HistoryRow] = None
    latency: JsonText = None
    success_comparison: JsonText = None
    error_comparison: JsonText = None
    response_code_comparisons: JsonText = None
    comparisons: JsonText = None
    steps: JsonText = None
    not_comparable: Lenient[StrictStr] = None


class ProfileOption(CamelCasePayload):
    """A profile with runs in the history, perhaps deleted since; its name as of the newest run."""

    id: StrictInt
    name: StrictStr


class HistoryFilters(CamelCasePayload):
    """The values that a filter of the history can have; each of the first three has a run."""

    profiles: list[ProfileOption] = Field(default_factory=list)
    regions: TextList = ()
    tags: TextList = ()
    triggered_by: TextList = ()
    auto_verdicts: TextList = ()
