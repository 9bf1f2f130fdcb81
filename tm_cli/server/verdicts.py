"""Between the judge, which is pure, and the history."""

from __future__ import annotations

import json
import logging
import sqlite3

from tm_cli.server.judge import RunFacts, choose_baseline, judge
from tm_cli.server.store.history import HistoryStore, Verdict

logger = logging.getLogger(__name__)


def facts(row: sqlite3.Row) -> RunFacts:
    """What the judge needs of a history row."""
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
    )


def judge_row(history: HistoryStore, history_id: int) -> None:
    """Compare a completed run with its baseline and store the verdict, once."""
    row = history.find(history_id)
    if row is None or row["outcome"] != "COMPLETED" or row["auto_verdict"] is not None:
        return
    run = facts(row)
    earlier = [facts(row) for row in history.completed_before(history_id, row["profile_id"])]
    judgement = judge(run, choose_baseline(run, earlier), others=len(earlier))
    verdict = Verdict(
        verdict=judgement.verdict,
        reasons=judgement.reasons,
        snapshot=judgement.snapshot,
        baseline_id=judgement.baseline_id,
    )
    if not history.set_verdict(history_id, verdict):
        logger.warning("run %d had its verdict already", history_id)
