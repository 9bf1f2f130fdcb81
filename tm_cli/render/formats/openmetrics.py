"""The outcome as OpenMetrics text, for GitLab's metrics report and for scrapers."""

from __future__ import annotations

from collections.abc import Iterator

from tm_cli.gate.checks import measure
from tm_cli.gate.model import Result, Step, TargetMetric
from tm_cli.gate.outcome import GateOutcome, Record
from tm_cli.render.comparisons import plain_numbers
from tm_cli.render.summary import verdict_word
from tm_cli.values.text import sanitize

_QUANTILES = ("p50", "p90", "p95", "p99", "p99.9")
_FAMILIES = {
    "tm_exit_code": "Exit code of the gate.",
    "tm_verdict": "1 for the verdict of the run.",
    "tm_response_time_seconds": "Response time of the run.",
    "tm_baseline_response_time_seconds": "Response time of the baseline.",
    "tm_errors_ratio": "Share of the requests that failed.",
    "tm_requests_per_second": "Requests per second on average.",
    "tm_requests": "Requests in total.",
    "tm_step_response_time_seconds": "Response time of a step.",
    "tm_step_errors_ratio": "Share of the requests of a step that failed.",
    "tm_step_requests": "Requests of a step.",
    "tm_target_metric": "What was recorded of the target: percent of a core, bytes, a number.",
    "tm_measured": "A number of a run that is no load test.",
    "tm_baseline_measured": "The same of its baseline.",
}

Gauge = tuple[str, dict[str, str], float]


def openmetrics(outcome: GateOutcome) -> str:
    """Return gauges for every subject, families in a fixed order, ending in `# EOF`."""
    samples = [sample for record in outcome.reported for sample in _samples(record)]
    lines = []
    for name, meaning in _FAMILIES.items():
        own = [(labels, value) for family, labels, value in samples if family == name]
        if own:
            lines += [f"# TYPE {name} gauge", f"# HELP {name} {meaning}"]
            lines += [f"{name}{_labels(labels)} {value:.10g}" for labels, value in own]
    return "\n".join([*lines, "# EOF"]) + "\n"


def _samples(record: Record) -> Iterator[Gauge]:
    end = record.end
    subject = {"subject": record.subject}
    yield "tm_exit_code", subject, int(end.decision.exit_code)
    yield "tm_verdict", {**subject, "verdict": verdict_word(end)}, 1
    if end.result is not None:
        yield from _times("tm_response_time_seconds", subject, end.result)
        for metric, name, factor in (
            ("errors", "tm_errors_ratio", 0.01),
            ("rps", "tm_requests_per_second", 1),
            ("requests", "tm_requests", 1),
        ):
            if (value := measure(metric, end.result.metrics)) is not None:
                yield name, subject, value * factor
        for step in end.result.steps:
            yield from _step({**subject, "step": step.name}, step)
        for recorded in end.result.target_metrics.values():
            yield from _target({**subject, "metric": recorded.name}, recorded)
        if not isinstance(end.result.metrics.get("totalRequests"), int):
            yield from _numbers(subject, end.result)
    if end.baseline is not None:
        yield from _times("tm_baseline_response_time_seconds", subject, end.baseline)


def _numbers(subject: dict[str, str], result: Result) -> Iterator[Gauge]:
    for item in plain_numbers(result):
        labels = {**subject, "metric": item.metric, "unit": item.unit}
        if item.value is not None:
            yield "tm_measured", labels, item.value
        if item.baseline is not None:
            yield "tm_baseline_measured", labels, item.baseline


def _target(labels: dict[str, str], metric: TargetMetric) -> Iterator[Gauge]:
    for statistic in ("mean", "max", "last"):
        yield "tm_target_metric", {**labels, "statistic": statistic}, getattr(metric, statistic)


def _step(labels: dict[str, str], step: Step) -> Iterator[Gauge]:
    yield from _times("tm_step_response_time_seconds", labels, step)
    for metric, name, factor in (
        ("errors", "tm_step_errors_ratio", 0.01),
        ("requests", "tm_step_requests", 1),
    ):
        if (value := measure(metric, step.metrics)) is not None:
            yield name, labels, value * factor


def _times(name: str, subject: dict[str, str], result: Result | Step) -> Iterator[Gauge]:
    for quantile in _QUANTILES:
        if (value := measure(quantile, result.metrics)) is not None:
            share = f"{float(quantile[1:]) / 100:g}"
            yield name, {**subject, "quantile": share}, value / 1000


def _labels(labels: dict[str, str]) -> str:
    return "{" + ",".join(f'{name}="{_quoted(text)}"' for name, text in labels.items()) + "}"


def _quoted(text: str) -> str:
    return sanitize(text).replace("\\", "\\\\").replace('"', '\\"')
