"""Answers about runs: their control, live status, history, comparison, baselines and plans."""

from __future__ import annotations

from typing import Any, Literal

from tm_cli.server.openapi.fields import (
    Answer,
    Double,
    Int32,
    Int64,
    JsonText,
    Outcome,
    RunStatus,
    Time,
    Trigger,
    Verdict,
)


class RunControl(Answer):
    run_id: str | None
    status: RunStatus
    profile_id: Int64


class LiveBucket(Answer):
    """Five seconds of a run; `t` is their middle."""

    t: Double
    rps: Double
    planned_rps: Double
    ok_ratio: Double
    bad_ratio: Double
    p50_ms: Double | None
    p95_ms: Double | None
    p99_ms: Double | None


class LiveStep(Answer):
    name: str
    total_requests: Int64
    total_errors: Int64
    current_rps: Double | None


class LiveStatus(Answer):
    profile_id: Int64
    run_id: str | None
    status: RunStatus
    region: str | None
    elapsed_seconds: Double
    duration_seconds: Double
    requests_sent: Int64
    response_code_counts: dict[str, Int64]
    current_rps: Double | None
    planned_rps: Double | None
    recent_buckets: list[LiveBucket]
    script_ok: Int64
    script_errors: Int64
    generator_saturated: bool
    downstream_saturated: bool
    flaky_dispatch: bool
    tags: list[str]
    stops_early: bool | None = None
    warmup_seconds: Double | None = None
    waiting_for: str | None = None
    steps: list[LiveStep] | None = None


class HistoryRow(Answer):
    """A run that has ended; the fields from `outcome` on are this server's own."""

    id: Int64
    run_id: str | None
    profile_id: Int64
    profile_name: str
    started_at: Time | None
    finished_at: Time | None
    created_at: Time | None
    duration_seconds: Int32
    total_requests: Int64
    total_errors: Int64
    avg_rps: Double
    peak_rps: Double
    success_rate: Double | None
    auto_verdict: Verdict | None
    auto_verdict_reasons: JsonText | None
    triggered_by: Trigger
    region: str | None
    region_display_name: str | None
    tags: list[str]
    outcome: Outcome
    stopped_after_seconds: Double | None
    curve_seconds: Double
    against_url: str | None
    latency_quantiles: JsonText | None
    load_fingerprint: str
    latency_changes: dict[str, Double] | None = None


class JudgedCounts(Answer):
    """The counts of a run without its warm-up."""

    planned: Int64
    sent: Int64
    total_requests: Int64
    total_errors: Int64
    response_codes: dict[str, Int64]


class StepResults(Answer):
    name: str
    total_requests: Int64
    total_errors: Int64
    response_codes: dict[str, Int64]
    latency_quantiles: dict[str, Double]


class AgainstResults(Answer):
    """The results of an A/B run's second target."""

    target_url: str | None
    planned: Int64
    sent: Int64
    total_requests: Int64
    total_errors: Int64
    avg_rps: Double
    peak_rps: Double
    success_rate: Double | None
    response_codes: dict[str, Int64]
    addresses: dict[str, Int64]
    bodies: dict[str, Int64]
    repeated: Int64
    latency_quantiles: dict[str, Double]
    rps_series: list[dict[str, Any]]
    latency_series: list[dict[str, Any]]
    judged: JudgedCounts | None
    steps: list[StepResults]


class HistoryDetail(HistoryRow):
    target_url: str | None
    response_codes: JsonText | None
    rps_series: JsonText | None
    latency_series: JsonText | None
    secondary_stats: JsonText | None
    script_stats: JsonText | None
    auto_compare_snapshot: JsonText | None
    auto_compare_baseline_run_id: Int64 | None
    planned_requests: Int64
    sent_requests: Int64
    shortfall: Int64
    generator_saturated: bool
    downstream_saturated: bool
    flaky_dispatch: bool
    against: AgainstResults | None
    notes: list[str]
    addresses: dict[str, Int64]
    protocol: str | None
    bodies: dict[str, Int64]
    repeated: Int64
    warmup_seconds: Double
    judged: JudgedCounts | None
    cpu_pressure: Double | None
    steps: list[StepResults]


class HistoryPage(Answer):
    content: list[HistoryRow]
    page: Int32
    size: Int32
    total_elements: Int64
    total_pages: Int32


class ProfileOption(Answer):
    id: Int64
    name: str


class HistoryFilters(Answer):
    profiles: list[ProfileOption]
    regions: list[str]
    tags: list[str]
    triggered_by: list[Trigger]
    auto_verdicts: list[Verdict]


class ComparedRun(Answer):
    id: Int64
    profile_name: str
    started_at: Time
    duration_seconds: Int32
    total_requests: Int64
    total_errors: Int64
    avg_rps: Double
    region: str | None
    region_display_name: str | None
    tags: list[str]


class Quartiles(Answer):
    min: Double
    q1: Double
    median: Double
    q3: Double
    max: Double


class LatencyComparison(Answer):
    """Means over the buckets of both runs in milliseconds, by Welch's t-test."""

    mean_a: Double | None
    mean_b: Double | None
    delta: Double | None
    delta_percent: Double | None
    t_stat: Double | None
    p_value: Double | None
    degrees_of_freedom: Int32 | None
    significant: bool
    box_a: Quartiles | None = None
    box_b: Quartiles | None = None


class HistogramBin(Answer):
    min: Double
    max: Double
    count: Int32


class Bootstrap(Answer):
    """How unusual a difference is among those of earlier runs."""

    bins: list[HistogramBin]
    current_percentile: Double
    ci95_low: Double
    ci95_high: Double
    significant: bool
    p_value: Double


class ShareComparison(Answer):
    value_a: Double
    value_b: Double
    delta: Double
    bootstrap: Bootstrap | None = None


class JudgedComparison(Answer):
    """One metric as the verdict compares it; percent, or percentage points where `unit` is %."""

    metric: str
    unit: str
    value: Double | None
    baseline: Double | None
    change: Double | None
    ci_low: Double | None
    ci_high: Double | None
    p_value: Double | None
    noise: Double | None
    warn: Double | None
    fail: Double | None
    verdict: Literal["PASS", "WARN", "FAIL"] | None
    significant: bool
    improved: bool
    excludes_fail: bool | None
    level_mean: dict[str, Any] | None
    than: str | None
    reason: str | None


class RunComparison(Answer):
    """Two runs of one profile; `runA` is the newer one."""

    run_a: ComparedRun
    run_b: ComparedRun
    latency: dict[str, LatencyComparison]
    success_comparison: ShareComparison
    error_comparison: ShareComparison
    response_code_comparisons: dict[str, ShareComparison]
    not_comparable: str | None
    comparisons: list[JudgedComparison]
    steps: list[dict[str, Any]] | None = None


class BaselinePin(Answer):
    profile_id: Int64
    region: str
    history_id: Int64 | None
    pinned_at: Time | None
    exists: bool
    run_id: str | None
    started_at: Time | None
    auto_verdict: Verdict | None


class Detects(Answer):
    """The smallest rises in percent that are shown as WARN or FAIL, and as FAIL."""

    warn: Double | None
    fail: Double | None


class PlanLimits(Answer):
    warn: Double | None
    fail: Double | None
    floor_ms: Double


class Spread(Answer):
    percent: Double
    assumed_percent: Double
    runs: Int32


class PlanOption(Answer):
    name: str
    rate: Double
    seconds: Double
    ab_run: bool
    requests: Int64
    minutes: Double
    detects: Detects
    is_enough: bool
    is_blind: bool
    is_too_small: bool
    is_cheapest: bool


class DetectionPlan(Answer):
    profile_id: Int64
    region: str
    metric: Literal["p50", "p95", "p99"]
    detect: Double
    power: Double
    runs: list[Int64]
    limits: PlanLimits | None
    lower_limits: dict[str, Any] | None
    value: Double | None
    spread: Spread | None
    two_runs: Detects | None
    options: list[PlanOption]


class Calibration(Answer):
    spread: Double
    measured: dict[str, Double]
    runs: list[Int64]
    target: str
    measured_at: Time


class Calibrations(Answer):
    """The spread between runs by class of machine, and the class of the server's own."""

    runner_class: str
    assumed_spread: Double
    calibrations: dict[str, Calibration]
