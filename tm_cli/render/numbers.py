"""Numbers for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tm_cli.durations import format_duration

_BARS = "▁▂▃▄▅▆▇█"


def rate(value: float | None) -> str:
    """Requests per second: `198.4`, `12,000`."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 1000 else f"{value:,.1f}".removesuffix(".0")


def milliseconds(value: float | None) -> str:
    """Latency: `0.42 ms`, `23 ms`, `1.20 s`."""
    if value is None:
        return "-"
    if value >= 1000:
        return f"{value / 1000:.2f} s"
    return (
        f"{value:.2f} ms" if value < 1 else f"{value:.1f} ms" if value < 10 else f"{value:.0f} ms"
    )


def percent(value: float | None) -> str:
    """A percentage with the digits that matter near 0 and 100."""
    return "-" if value is None else f"{value:.2f} %"


def age(seconds: float) -> str:
    """How long ago: `42s`, `5h`, `3 days`."""
    days = seconds / 86400
    return f"{days:,.0f} days" if days >= 2 else format_duration(max(seconds, 0.0))


def sparkline(values: Sequence[float]) -> str:
    """Draw `values`, oldest first, from zero to their maximum."""
    top = max(values, default=0.0)
    if top <= 0:
        return _BARS[0] * len(values)
    return "".join(_BARS[min(int(max(value, 0.0) / top * len(_BARS)), 7)] for value in values)


def codes(counts: Mapping[str, int]) -> str:
    """Response codes, the most frequent first: `200 × 2,380  503 × 4`."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    shown = "  ".join(f"{code} × {count:,}" for code, count in ordered[:6])
    return shown + (f"  and {len(ordered) - 6} more" if len(ordered) > 6 else "")
