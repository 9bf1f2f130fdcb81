"""Reads runs from the history for the judge, and stores its verdicts."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
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
from tm_cli.server.runs.results import SideResults, blocks, error_classes, mean_body, successes
from tm_cli.server.store.calibrations import Calibrations
from tm_cli.server.store.history import HistoryStore, StoredVerdict
from tm_cli.server.store.runs import RunStore
from tm_cli.server.store.stored_rows import StoredRow, damage
from tm_cli.server.validation import read_time

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

    def measured(self, row: StoredRow) -> RunFacts:
        return self._with_blocks(self.facts(row), row)

    def earlier(self, row: StoredRow) -> list[StoredRow]:
        """The comparable completed rows of the row's profile before it, newest first."""
        rows = self.history.completed_before(row["id"], row["profile_id"])
        return [other for other in rows if other["fingerprint"] == row["fingerprint"]]

    def _judged(self, row: StoredRow) -> Judgement:
        run = self.measured(row)
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
                known[other.history_id] = self._readable_blocks(other)
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

    def _readable_blocks(self, run: RunFacts) -> RunFacts:
        try:
            return self.with_blocks(run)
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
        sides = self.runs.buckets(row["run_id"])
        now, before = (
            replace(run, blocks=blocks([bucket for bucket in sides if bucket.side == side]))
            for side, run in enumerate((now, before))
        )
        return judge_ab_run(now, before, thresholds_of(row))

    def with_blocks(self, run: RunFacts) -> RunFacts:
        """A run of the history with its blocks and its runner class.

        Raises ValueError when its measurements are damaged.
        """
        row = self.history.find(run.history_id)
        return self._with_blocks(run, row) if row else run

    def _with_blocks(self, run: RunFacts, row: StoredRow) -> RunFacts:
        own = [bucket for bucket in self.runs.buckets(row["run_id"]) if bucket.side == 0]
        runner = self._runner(row)
        return replace(
            run,
            blocks=blocks(own),
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
    return RunFacts(
        history_id=row["id"],
        verdict=row["auto_verdict"],
        fingerprint=row["fingerprint"],
        planned=row["planned"],
        sent=row["sent"],
        completed=row["total_requests"],
        errors=row["total_errors"],
        quantiles_ms=json.loads(row["latency_quantiles"]),
        generator_saturated=bool(row["generator_saturated"]),
        traits=json.loads(row["traits"]),
        seconds=float(row["duration_seconds"]),
        age=round((now - read_time(row["finished_at"])).total_seconds(), 3),
        notes=tuple(json.loads(row["notes"])),
        pinned=row["wished_id"] if row["wish"] == SelectedBy.PINNED else None,
        addresses=json.loads(row["addresses"]),
        repeated=row["repeated"],
        **_responses(json.loads(row["response_codes"]), json.loads(row["bodies"])),
    )


def _responses(codes: Mapping[str, int], bodies: Mapping[str, int]) -> dict[str, Any]:
    """What `RunFacts` needs to know of the responses."""
    return {
        "error_classes": error_classes(codes),
        "statuses": successes(codes),
        "mean_body": mean_body(codes, bodies),
    }


def other_facts(row: StoredRow, now: datetime) -> RunFacts:
    other = SideResults.model_validate_json(row["against"])
    return replace(
        facts(row, now),
        planned=other.planned,
        sent=other.sent,
        completed=other.total_requests,
        errors=other.total_errors,
        quantiles_ms=other.latency_quantiles,
        addresses=other.addresses,
        repeated=other.repeated,
        **_responses(other.response_codes, other.bodies),
    )


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
    run, other = judge.measured(newer), judge.measured(older)
    found = compare(run, other, thresholds_of(newer), than=BASELINE, passed=passed, is_named=True)
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
