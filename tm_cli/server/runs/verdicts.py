"""Reads runs from the history for the judge, and stores its verdicts."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from tm_cli.server.judge import (
    BaselineChoice,
    BaselineSelection,
    Judgement,
    RunFacts,
    SelectedBy,
    Thresholds,
    choose_baseline,
    judge,
    judge_ab_run,
)
from tm_cli.server.judge.baseline import differences
from tm_cli.server.judge.findings import BASELINE
from tm_cli.server.judge.verdict import compare
from tm_cli.server.judge.welch_test import against_history, welch
from tm_cli.server.profiles import LOCAL, display_name
from tm_cli.server.runs.results import (
    JudgedCounts,
    SideResults,
    blocks,
    count,
    error_classes,
    mean_body,
    quantiles,
    stretch,
    successes,
)
from tm_cli.server.store.calibrations import Calibrations
from tm_cli.server.store.history import HistoryStore, StoredVerdict
from tm_cli.server.store.runs import RunStore
from tm_cli.server.store.stored_rows import StoredRow, damage
from tm_cli.server.validation import read_time
from tm_cli.server.workers.engine_events import EngineBucket

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Judge:
    """Compares completed runs with their baselines and stores the verdicts, each once."""

    history: HistoryStore
    runs: RunStore
    now: Callable[[], datetime]
    calibrations: Calibrations | None = None

    def __call__(self, history_id: int) -> None:
        row = self.history.find(history_id)
        if row is None or row["outcome"] != "COMPLETED" or row["auto_verdict"] is not None:
            return
        if row["damaged"]:
            logger.warning("run %d is not judged: %s", history_id, damage(row))
            return
        judgement = self._judged_ab_run(row) if row["against_url"] else self._judged(row)
        verdict = StoredVerdict(
            verdict=judgement.verdict,
            reasons=judgement.reasons,
            snapshot=judgement.snapshot | self._runner(row),
            baseline_id=judgement.baseline_id,
        )
        if not self.history.set_verdict(history_id, verdict):
            logger.warning("run %d had its verdict already", history_id)

    def facts(self, row: StoredRow) -> RunFacts:
        return facts(row, self.now())

    def measured(self, row: StoredRow, thresholds: Thresholds) -> RunFacts:
        """A run with all that is measured of it; `thresholds` are those that judge it."""
        return self._with_blocks(self.facts(row), thresholds, row)

    def earlier(self, row: StoredRow) -> list[StoredRow]:
        """The comparable completed rows of the row's profile before it, newest first."""
        rows = self.history.completed_before(row["id"], row["profile_id"])
        return [other for other in rows if other["fingerprint"] == row["fingerprint"]]

    def _judged(self, row: StoredRow) -> Judgement:
        run = self.measured(row, thresholds_of(row))
        rows = self.history.completed_before(row["id"], row["profile_id"])
        return judge(run, self._choice(run, list(map(self.facts, rows)), row), thresholds_of(row))

    def _choice(self, run: RunFacts, earlier: Sequence[RunFacts], row: StoredRow) -> BaselineChoice:
        """The runs to compare with, without those whose measurements are damaged."""
        if unusable := self._unusable_selection(row):
            return unusable
        selection, own_thresholds = self._selection(row), thresholds_of(row)
        known: dict[int, RunFacts] = {}

        def measured(other: RunFacts) -> RunFacts:
            if other.history_id not in known:
                known[other.history_id] = self._readable_blocks(other, own_thresholds)
            return known[other.history_id]

        while True:
            try:
                return choose_baseline(
                    run, earlier, selection, thresholds=own_thresholds, measured=measured
                )
            except _DamagedMeasurements as damaged:
                logger.warning("run %d cannot be a baseline: %s", damaged.history_id, damaged)
                if selection is not None:
                    return _damaged_selection(row, "its measurements are damaged")
                earlier = [one for one in earlier if one.history_id != damaged.history_id]

    def _readable_blocks(self, run: RunFacts, thresholds: Thresholds) -> RunFacts:
        try:
            return self.with_blocks(run, thresholds)
        except ValueError as error:
            raise _DamagedMeasurements(run.history_id, str(error)) from error

    def _unusable_selection(self, row: StoredRow) -> BaselineChoice | None:
        """No baseline if the selected one is damaged."""
        selected = None if row["wish"] is None else self.history.find(row["wished_id"])
        return (
            _damaged_selection(row, damage(selected)) if selected and selected["damaged"] else None
        )

    def _judged_ab_run(self, row: StoredRow) -> Judgement:
        now, before = self.facts(row), other_facts(row, self.now())
        sides, thresholds = self.runs.buckets(row["run_id"]), thresholds_of(row)
        now, before = (
            _measured(run, [bucket for bucket in sides if bucket.side == side], thresholds)
            for side, run in enumerate((now, before))
        )
        return judge_ab_run(now, before, thresholds)

    def with_blocks(self, run: RunFacts, thresholds: Thresholds) -> RunFacts:
        """A run of the history with all that is measured of it.

        Raises ValueError when its measurements are damaged.
        """
        row = self.history.find(run.history_id)
        return self._with_blocks(run, thresholds, row) if row else run

    def _with_blocks(self, run: RunFacts, thresholds: Thresholds, row: StoredRow) -> RunFacts:
        own = [bucket for bucket in self.runs.buckets(row["run_id"]) if bucket.side == 0]
        runner = self._runner(row)
        return replace(
            _measured(run, own, thresholds),
            runner_class=runner["runnerClass"],
            assumed_spread=runner["calibratedSpread"],
        )

    def _runner(self, row: StoredRow) -> dict[str, Any]:
        """The class of the machine that sent the load, and the spread that was measured there.

        A run that is not judged yet is one of this machine.
        """
        if self.calibrations is None or row["region"] != LOCAL:
            return {"runnerClass": None, "calibratedSpread": None}
        name: object = self.calibrations.own_class
        if row["auto_verdict"] is not None:
            name = json.loads(row["auto_compare_snapshot"] or "{}").get("runnerClass")
        known = name if isinstance(name, str) else None
        return {"runnerClass": known, "calibratedSpread": self.calibrations.spread(known)}

    def _selection(self, row: StoredRow) -> BaselineSelection | None:
        if row["wish"] is None:
            return None
        selected = self.history.find(row["wished_id"])
        run = self.facts(selected) if selected and selected["outcome"] == "COMPLETED" else None
        return BaselineSelection(SelectedBy(row["wish"]), row["wished_id"], run)


def _measured(run: RunFacts, buckets: Sequence[EngineBucket], thresholds: Thresholds) -> RunFacts:
    """The run with what its buckets tell: blocks, and the stretches that have thresholds."""
    parts = {
        part: stretch(buckets, part.begin, math.inf if part.end is None else part.end)
        for part in (item.stretch for item in thresholds.stretches.values())
    }
    stretches = {
        part: replace(
            run,
            quantiles_ms=quantiles(inside),
            blocks=blocks(inside),
            **_counts(count(inside)),
        )
        for part, inside in parts.items()
    }
    return replace(run, blocks=blocks(stretch(buckets, run.warmup)), stretches=stretches)


class _DamagedMeasurements(Exception):
    """The response times of an earlier run cannot be read."""

    def __init__(self, history_id: int, message: str) -> None:
        super().__init__(message)
        self.history_id = history_id


def _damaged_selection(row: StoredRow, why: str) -> BaselineChoice:
    named = f"run {row['wished_id']}, which was named as the baseline"
    return BaselineChoice(None, SelectedBy(row["wish"]), reason=f"{named}, cannot be used: {why}")


def thresholds_of(row: StoredRow) -> Thresholds:
    return Thresholds().changed(json.loads(row["gate"]))


def facts(row: StoredRow, now: datetime) -> RunFacts:
    """What the judge needs of a history row, without response times by blocks."""
    counts = JudgedCounts.model_validate_json(row["judged"]) if row["judged"] else _whole(row)
    return RunFacts(
        history_id=row["id"],
        verdict=row["auto_verdict"],
        fingerprint=row["fingerprint"],
        quantiles_ms=json.loads(row["latency_quantiles"]),
        generator_saturated=bool(row["generator_saturated"]),
        # earlier runs had no warm-up
        traits={"warm-up": "0"} | json.loads(row["traits"]),
        seconds=float(row["duration_seconds"]) - row["warmup"],
        age=round((now - read_time(row["finished_at"])).total_seconds(), 3),
        notes=tuple(json.loads(row["notes"])),
        pinned=row["wished_id"] if row["wish"] == SelectedBy.PINNED else None,
        addresses=json.loads(row["addresses"]),
        repeated=row["repeated"],
        warmup=row["warmup"],
        cpu_pressure=row["cpu_pressure"],
        mean_body=mean_body(json.loads(row["response_codes"]), json.loads(row["bodies"])),
        **_counts(counts),
    )


def _whole(row: StoredRow) -> JudgedCounts:
    return JudgedCounts(
        planned=row["planned"],
        sent=row["sent"],
        total_requests=row["total_requests"],
        total_errors=row["total_errors"],
        response_codes=json.loads(row["response_codes"]),
    )


def _counts(judged: JudgedCounts) -> dict[str, Any]:
    """What `RunFacts` needs to know of the requests."""
    return {
        "planned": judged.planned,
        "sent": judged.sent,
        "completed": judged.total_requests,
        "errors": judged.total_errors,
        "error_classes": error_classes(judged.response_codes),
        "statuses": successes(judged.response_codes),
    }


def other_facts(row: StoredRow, now: datetime) -> RunFacts:
    other = SideResults.model_validate_json(row["against"])
    counts = other.judged or JudgedCounts(**{name: getattr(other, name) for name in _COUNTED})
    return replace(
        facts(row, now),
        quantiles_ms=other.latency_quantiles,
        addresses=other.addresses,
        repeated=other.repeated,
        mean_body=mean_body(other.response_codes, other.bodies),
        **_counts(counts),
    )


_COUNTED = tuple(JudgedCounts.model_fields)


_QUANTILES = ("p50", "p95", "p99")


def comparison(judge: Judge, newer: StoredRow, older: StoredRow) -> dict[str, Any]:
    """Compare two rows of one profile; `runA` is the newer one (section 11 of the contract).

    `comparisons` is the judge's comparison of these two, thresholds and noise included. It is empty
    where they are not comparable, and `notComparable` is the reason. Raises ValueError when the
    measurements of one are damaged.
    """
    difference = differences(judge.facts(older), judge.facts(newer))
    earlier = judge.earlier(newer)
    return {
        "runA": _head(newer),
        "runB": _head(older),
        "latency": {name: welch(_series(newer, name), _series(older, name)) for name in _QUANTILES},
        "successComparison": against_history(
            _success(newer), _success(older), [_success(row) for row in earlier]
        ),
        "errorComparison": against_history(
            100 - _success(newer), 100 - _success(older), [100 - _success(row) for row in earlier]
        ),
        "responseCodeComparisons": {
            code: against_history(
                _share(newer, code), _share(older, code), [_share(row, code) for row in earlier]
            )
            for code in sorted(_codes(newer) | _codes(older))
        },
        "notComparable": difference,
        "comparisons": [] if difference else _judged(judge, newer, older, earlier),
    }


def _judged(
    judge: Judge, newer: StoredRow, older: StoredRow, earlier: Sequence[StoredRow]
) -> list[dict[str, Any]]:
    passed = [judge.facts(row) for row in reversed(earlier) if row["auto_verdict"] == "PASS"]
    thresholds = thresholds_of(newer)
    run, other = judge.measured(newer, thresholds), judge.measured(older, thresholds)
    found = compare(run, other, thresholds, than=BASELINE, passed=passed, is_named=True)
    return [finding.document() for finding in found]


def _head(row: StoredRow) -> dict[str, Any]:
    return {
        "id": row["id"],
        "profileName": row["profile_name"],
        "startedAt": row["started_at"],
        "durationSeconds": row["duration_seconds"],
        "totalRequests": row["total_requests"],
        "totalErrors": row["total_errors"],
        "avgRps": row["avg_rps"],
        "region": row["region"],
        "regionDisplayName": display_name(row["region"]),
        "tags": json.loads(row["tags"]),
    }


def _series(row: StoredRow, name: str) -> list[float]:
    points = json.loads(row["latency_series"])
    return [point[name] for point in points if point[name] is not None]


def _success(row: StoredRow) -> float:
    return 100.0 if row["success_rate"] is None else float(row["success_rate"])


def _codes(row: StoredRow) -> set[str]:
    return set(json.loads(row["response_codes"]))


def _share(row: StoredRow, code: str) -> float:
    total = row["total_requests"]
    return float(100 * json.loads(row["response_codes"]).get(code, 0) / total) if total else 0.0
