"""What the embedded server alone has: pinned baselines, plans, calibrations."""

from __future__ import annotations

from pydantic import StrictBool, StrictInt, StrictStr

from tm_cli.api.client import Instant, Lenient
from tm_cli.api.trafficmorph.fields import CamelCasePayload, JsonText, Number


class BaselinePin(CamelCasePayload):
    """The run that is pinned as a profile's baseline in a region; no `history_id`: none is."""

    profile_id: Lenient[StrictInt] = None
    region: Lenient[StrictStr] = None
    history_id: Lenient[StrictInt] = None
    run_id: Lenient[StrictStr] = None
    started_at: Instant = None
    auto_verdict: Lenient[StrictStr] = None
    pinned_at: Instant = None
    exists: Lenient[StrictBool] = None


class Detects(CamelCasePayload):
    """The smallest rises in percent that are shown as WARN or FAIL, and as FAIL."""

    warn: Number = None
    fail: Number = None


class Spread(CamelCasePayload):
    """The standard deviation of one run in percent, and of how many steps it was learnt."""

    percent: Number = None
    assumed_percent: Number = None
    runs: Lenient[StrictInt] = None


class PlanOption(CamelCasePayload):
    """One way to run, and what it detects."""

    name: Lenient[StrictStr] = None
    rate: Number = None
    seconds: Number = None
    ab_run: Lenient[StrictBool] = None
    requests: Lenient[StrictInt] = None
    minutes: Number = None
    detects: Lenient[Detects] = None
    is_enough: Lenient[StrictBool] = None
    is_blind: Lenient[StrictBool] = None
    is_too_small: Lenient[StrictBool] = None
    is_cheapest: Lenient[StrictBool] = None


class Plan(CamelCasePayload):
    """What a profile can detect, and how to run to detect more; no options: nothing is known.

    `lower_limits`: the thresholds (`gate`) to change, because today's hide the rise themselves;
    all options but the first have them.
    """

    profile_id: Lenient[StrictInt] = None
    region: Lenient[StrictStr] = None
    metric: Lenient[StrictStr] = None
    detect: Number = None
    power: Number = None
    runs: Lenient[list[StrictInt]] = None
    limits: JsonText = None
    lower_limits: JsonText = None
    value: Number = None
    spread: Lenient[Spread] = None
    two_runs: Lenient[Detects] = None
    options: Lenient[list[PlanOption]] = None


class Calibration(CamelCasePayload):
    """A measured spread: the standard deviation of one run, as a share."""

    spread: Number = None
    measured: JsonText = None
    runs: Lenient[list[StrictInt]] = None
    target: Lenient[StrictStr] = None
    measured_at: Instant = None


class Calibrations(CamelCasePayload):
    """The calibrations by runner class, and the class of the server's machine."""

    runner_class: Lenient[StrictStr] = None
    assumed_spread: Number = None
    calibrations: Lenient[dict[str, Calibration]] = None
