"""Reads runs from the history for the judge, and stores its verdicts."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter

from tm_cli.server.engine.schedule import BUCKET_SECONDS
from tm_cli.server.judge import (
    BaselineChoice,
    BaselineSelection,
    Judgement,
    RunFacts,
    SelectedBy,
    Thresholds,
    choose_baseline,
)
from tm_cli.server.judge.baseline import differences, not_failed
from tm_cli.server.judge.findings import BASELINE
from tm_cli.server.judge.sequential import Interim, Known, SequentialTest
from tm_cli.server.judge.statistics.welch_test import against_history, welch
from tm_cli.server.judge.steps import step_documents
from tm_cli.server.judge.verdict import compare, judge_by
from tm_cli.server.profiles import LOCAL, display_name
from tm_cli.server.runs.progress import NO_TRAITS, RunOutcome, RunState, ServerRun
from tm_cli.server.runs.results import (
    JudgedCounts,
    SideResults,
    StepResults,
    mean_body,
    summarize,
)
from tm_cli.server.runs.steps import StepBlock, blocks_of, known_steps, with_steps
from tm_cli.server.runs.stretches import Stretches, counted, stopped_after
from tm_cli.server.store.calibrations import Calibrations
from tm_cli.server.store.history import HistoryStore, StoredVerdict, result_columns
from tm_cli.server.store.runs import RunStore
from tm_cli.server.store.stored_rows import StoredRow, damage
from tm_cli.server.validation import read_time, wire_time
from tm_cli.server.workers.engine_events import EngineBucket

MOST_EARLIER = 30
"""Earlier runs that show how much two runs differ when any two are compared."""

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
        judgement = self._judgement(row)
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

    def _facts_with_snapshot(self, row: StoredRow) -> RunFacts:
        """What a row in full tells of a run: its machine, and what its own comparison showed."""
        snapshot = json.loads(row.get("auto_compare_snapshot") or "{}")
        runner = self._runner(row)
        return replace(
            self.facts(row),
            excludes_fail=snapshot.get("excludesFail"),
            runner_class=runner["runnerClass"],
            assumed_spread=runner["calibratedSpread"],
        )

    def with_blocks(self, run: RunFacts, thresholds: Thresholds) -> RunFacts:
        """A run of the history with all that is measured of it.

        Raises ValueError when its measurements are damaged.
        """
        row = self.history.find(run.history_id)
        if row is None:
            return run
        stretches, known = Stretches.of(row, thresholds), self._facts_with_snapshot(row)
        return stretches.with_blocks(known, *self._own(row["run_id"]))

    def on_common_stretch(
        self, first: StoredRow, second: StoredRow, thresholds: Thresholds
    ) -> tuple[RunFacts, RunFacts]:
        """Two comparable runs with all that is measured of them, both as far as both got."""
        stretches = Stretches.of(first, thresholds)
        runs = self._facts_with_snapshot(first), self._facts_with_snapshot(second)
        end = min(map(stretches.end, runs))
        rows = first, second
        here, there = (
            stretches.up_to(end, run, *self._own(row["run_id"]))
            for run, row in zip(runs, rows, strict=True)
        )
        return here, there

    def earlier(self, row: StoredRow) -> list[StoredRow]:
        """The newest comparable completed rows of the row's profile before it, newest first."""
        return self.history.comparable_before(
            row["id"], row["profile_id"], row["fingerprint"], MOST_EARLIER
        )

    def look(
        self, run: ServerRun, state: RunState, test: SequentialTest, seen: Interim, buckets: int
    ) -> Known | None:
        """The verdict of a run that goes on, by its first buckets, if it is known already."""
        first = [one for one in self.runs.buckets(run.run_id) if one.index < buckets]
        end = buckets * BUCKET_SECONDS
        results = summarize(
            first, curve_end=end, elapsed=end, flags=state.flags_so_far, warmup=run.warmup
        )
        warmup, size = blocks_of(run)
        complete = (buckets - warmup) // size
        steps = [step for step in self.runs.steps(run.run_id) if step.position < complete]
        results = with_steps(results, steps)
        row = {
            **(self.runs.find(run.run_id) or {}),
            **result_columns(
                run.run_id,
                RunOutcome.COMPLETED,
                results.with_counts(state.counts),
            ),
            "id": sys.maxsize,  # every other run is an earlier one
            "auto_verdict": None,
            "finished_at": wire_time(self.now()),
            "notes": json.dumps(state.notes),
        }
        return test.look(*self._sides(row), thresholds_of(row), seen)

    def _judgement(self, row: StoredRow) -> Judgement:
        run, other = self._sides(row)
        judgement = judge_by(run, other, thresholds_of(row))
        if judgement.verdict != "PASS" or run.stopped_after is None:
            return judgement
        if 2 * (run.stopped_after - run.warmup) >= row["duration"] - run.warmup:
            return judgement
        reason = "it was stopped early to fail, and its last responses are not bad enough for that"
        return replace(judgement, verdict="WARN", reasons=(reason, *judgement.reasons))

    def _sides(self, row: StoredRow) -> tuple[RunFacts, RunFacts | BaselineChoice]:
        """A run, and what it is compared with; of an A/B run, its two sides."""
        if row["against_url"]:
            return self._ab_sides(row)
        stretches = Stretches.of(row, thresholds_of(row))
        run = stretches.with_blocks(self._facts_with_snapshot(row), *self._own(row["run_id"]))
        rows = self.history.completed_before(row["id"], row["profile_id"])
        earlier = self._converted(list(map(self.facts, rows)), run, stretches)
        return run, self._choice(run, earlier, row, stretches)

    def _converted(
        self, earlier: Sequence[RunFacts], run: RunFacts, stretches: Stretches
    ) -> Sequence[RunFacts]:
        """Earlier runs with response times over the stretch of the curve that `run` has.

        Times over different stretches are converted by what the curve did to the newest whole run.
        """
        if all(other.stopped_after == run.stopped_after for other in earlier):
            return earlier
        for whole in earlier:
            is_comparable = whole.fingerprint == run.fingerprint and whole.can_be_baseline
            if whole.stopped_after is not None or not is_comparable:
                continue
            try:
                curve, _ = self._own(self._run_id(whole))
                end = stretches.end(run)
                return [stretches.converted(other, end, curve) for other in earlier]
            except ValueError:  # its measurements are damaged
                continue
        return earlier

    def _choice(
        self, run: RunFacts, earlier: Sequence[RunFacts], row: StoredRow, stretches: Stretches
    ) -> BaselineChoice:
        """The runs to compare with, without those whose measurements are damaged."""
        if unusable := self._unusable_selection(row):
            return unusable
        selection, own_thresholds = self._selection(row), stretches.thresholds
        known: dict[int, RunFacts] = {}
        end = stretches.end(run)

        def measured(other: RunFacts) -> RunFacts:
            if other.history_id not in known:
                known[other.history_id] = self._readable(other, end, stretches)
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

    def _readable(self, run: RunFacts, end: int, stretches: Stretches) -> RunFacts:
        row = self.history.find(run.history_id)
        if row is None:
            return run
        known = replace(self._facts_with_snapshot(row), quantiles_ms=run.quantiles_ms)
        try:
            return stretches.up_to(end, known, *self._own(row["run_id"]))
        except ValueError as error:
            raise _DamagedMeasurements(run.history_id, str(error)) from error

    def _unusable_selection(self, row: StoredRow) -> BaselineChoice | None:
        """No baseline if the selected one is damaged."""
        selected = None if row["wish"] is None else self.history.find(row["wished_id"])
        return (
            _damaged_selection(row, damage(selected)) if selected and selected["damaged"] else None
        )

    def _ab_sides(self, row: StoredRow) -> tuple[RunFacts, RunFacts]:
        stretches = Stretches.of(row, thresholds_of(row))
        now, before = (
            stretches.with_blocks(run, *self._own(row["run_id"], side))
            for side, run in enumerate((self.facts(row), other_facts(row, self.now())))
        )
        return now, before

    def _own(self, run_id: str, side: int = 0) -> tuple[list[EngineBucket], list[StepBlock]]:
        """The buckets of a run, or of one of its sides, and its steps."""
        return (
            [replace(one, side=0) for one in self.runs.buckets(run_id) if one.side == side],
            [block for block in self.runs.steps(run_id) if block.side == side],
        )

    def _run_id(self, run: RunFacts) -> str:
        row = self.history.find(run.history_id)
        return row["run_id"] if row else ""

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
    counts = JudgedCounts.model_validate_json(row["judged"]) if row["judged"] else _whole(row)
    run = RunFacts(
        history_id=row["id"],
        verdict=row["auto_verdict"],
        fingerprint=row["fingerprint"],
        quantiles_ms=json.loads(row["latency_quantiles"]),
        generator_saturated=bool(row["generator_saturated"]),
        # earlier runs had no warm-up
        traits={"warm-up": "0"} | NO_TRAITS | json.loads(row["traits"]),
        seconds=float(row["duration_seconds"]) - row["warmup"],
        age=round((now - read_time(row["finished_at"])).total_seconds(), 3),
        notes=tuple(json.loads(row["notes"])),
        pinned=row["wished_id"] if row["wish"] == SelectedBy.PINNED else None,
        addresses=json.loads(row["addresses"]),
        repeated=row["repeated"],
        warmup=row["warmup"],
        cpu_pressure=row["cpu_pressure"],
        stopped_after=stopped_after(row),
        mean_body=mean_body(json.loads(row["response_codes"]), json.loads(row["bodies"])),
        **counted(counts),
    )
    return replace(run, steps=known_steps(run, _STEPS.validate_json(row["steps"])))


_STEPS = TypeAdapter(dict[str, StepResults])


def _whole(row: StoredRow) -> JudgedCounts:
    return JudgedCounts(
        planned=row["planned"],
        sent=row["sent"],
        total_requests=row["total_requests"],
        total_errors=row["total_errors"],
        response_codes=json.loads(row["response_codes"]),
    )


def other_facts(row: StoredRow, now: datetime) -> RunFacts:
    other = SideResults.model_validate_json(row["against"])
    counts = other.judged or JudgedCounts(**{name: getattr(other, name) for name in _COUNTED})
    run = replace(
        facts(row, now),
        quantiles_ms=other.latency_quantiles,
        addresses=other.addresses,
        repeated=other.repeated,
        mean_body=mean_body(other.response_codes, other.bodies),
        **counted(counts),
    )
    return replace(run, steps=known_steps(run, other.steps))


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
        **({"comparisons": []} if difference else _judged(judge, newer, older, earlier)),
    }


def _judged(
    judge: Judge, newer: StoredRow, older: StoredRow, earlier: Sequence[StoredRow]
) -> dict[str, Any]:
    thresholds = thresholds_of(newer)
    completed = not_failed([judge.facts(row) for row in reversed(earlier)], thresholds)
    passed = [run for run in completed if run.verdict == "PASS"]
    run, other = judge.on_common_stretch(newer, older, thresholds)
    found = compare(
        run,
        other,
        thresholds,
        than=BASELINE,
        passed=passed,
        completed=completed,
        is_named=True,
    )
    steps = step_documents(run, other, found, thresholds)
    return {
        "comparisons": [finding.document() for finding in found if finding.step is None],
        **({"steps": steps} if steps else {}),
    }


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
    judged = [point[name] for point in points if (point.get("t") or 0.0) >= row["warmup"]]
    return [value for value in judged if value is not None]


def _success(row: StoredRow) -> float:
    return 100.0 if row["success_rate"] is None else float(row["success_rate"])


def _codes(row: StoredRow) -> set[str]:
    return set(json.loads(row["response_codes"]))


def _share(row: StoredRow, code: str) -> float:
    total = row["total_requests"]
    return float(100 * json.loads(row["response_codes"]).get(code, 0) / total) if total else 0.0
