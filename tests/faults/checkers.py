"""Invariants of a gate as pure functions: a schedule and a recording in, violations out.

I1 and I2 are the same claim by different means: I1 looks at what tm received, I2 at what is true.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from faults.evidence import (
    document,
    is_ours,
    last_scan,
    recognised_ours,
    rows_after_start,
    start_was_answered,
)
from faults.plan import REFUSALS
from faults.recorder import Op, Recording
from faults.schedules import GATED, Schedule
from faults.world import VERDICTS

DOCUMENTED = {0, 1, 2, 3, 4, 5, 6, 7, 8, 64, 69, 70, 73, 77, 78, 129, 130, 143}
VERDICT_CODES = {"FAIL": 2, "WARN": 3, "NO_BASELINE": 4}
OUTWAITED = 0.05
LONGEST_PAUSE = 300.0
TWO_REQUESTS = 61.0
"""Seconds: a look at the status and, where that is missing, at the profile, both very slow."""

LOOKS = frozenset({"Observed", "Unobserved"})
REPLACEMENT_GRACE = 3.0
"""How long the row of a replaced run is looked for; one last look may come before its time."""

Check = Callable[[Schedule, Recording], Iterator[str]]


def passed(schedule: Schedule, recording: Recording) -> bool:
    """Whether a gate was set and let the run pass."""
    return recording.exit_code == 0 and bool(schedule.fail_on)


def i1_pass_has_evidence(schedule: Schedule, recording: Recording) -> Iterator[str]:
    """A pass needs a row of ours with an acceptable verdict, and none that says otherwise."""
    if not passed(schedule, recording):
        return
    ours = [row for row in rows_after_start(recording) if is_ours(row, recording)]
    exact = [row for row in ours if row.get("runId")]  # beats every row that fits by its time
    said = [row.get("autoVerdict") for row in exact or ours]
    accepted = set(VERDICTS) - set(schedule.fail_on)
    if not any(isinstance(verdict, str) and verdict in accepted for verdict in said):
        yield f"I1 passed without an acceptable verdict of ours: {said}"
    if bad := [v for v in said if isinstance(v, str) and v and v not in accepted]:
        yield f"I1 passed although a row of ours said {bad}"


def i2_pass_is_true(schedule: Schedule, recording: Recording) -> Iterator[str]:
    """A pass is so in the world: our run's verdict, when it was read last, is acceptable."""
    if not passed(schedule, recording):
        return
    scan = last_scan(recording)
    lag = recording.world.truth.history_lag
    true = _verdicts_between(recording, scan.began - lag, scan.ended) if scan else set()
    accepted = set(VERDICTS) - set(schedule.fail_on)
    deleted = {"delete-row", "purge"} & {blow.action for blow in schedule.blows}
    if deleted and not recording.world.our_rows():
        true = {run.verdict for run in recording.world.started_by_us}
    if not true & accepted:
        yield f"I2 passed, but the verdict of our run was {true or 'nowhere'}"


def _verdicts_between(recording: Recording, first: float, last: float) -> set[str | None]:
    world = recording.world
    changes = [since for row in world.our_rows() for since, _ in row.verdicts]
    moments = [first, last, *(at for at in changes if first <= at <= last)]
    return {verdict for at in moments for verdict in world.our_verdicts(at)}


def i3_gated_truth_never_passes(schedule: Schedule, recording: Recording) -> Iterator[str]:
    """When the run was only ever judged with a gated verdict, the exit code is not 0."""
    said = {v for row in recording.world.our_rows() for _, v in row.verdicts}
    if passed(schedule, recording) and said and said <= set(schedule.fail_on):
        yield f"I3 passed, but the truth is {sorted(map(str, said))}"


def i4_one_start(_schedule: Schedule, recording: Recording) -> Iterator[str]:
    """At most one start reached the server, and nothing is sent after one that may have."""
    if len(recording.world.started_by_us) > 1:
        yield f"I4 started {len(recording.world.started_by_us)} runs"
    starts = recording.starts()
    if any(op.outcome != "fail" for op in starts[:-1]):
        yield "I4 repeated a start that may have happened"


def i6_verdict_codes_need_a_start(_schedule: Schedule, recording: Recording) -> Iterator[str]:
    known = start_was_answered(recording) or recognised_ours(recording)
    if recording.exit_code in {0, 2, 3, 4} and not known:
        yield f"I6 exit {recording.exit_code} without an answered start"


def i6_gate_codes_are_true(schedule: Schedule, recording: Recording) -> Iterator[str]:
    """2, 3 and 4 come from a row of ours that says so, and only when it is gated."""
    for verdict in GATED:
        if recording.exit_code == VERDICT_CODES[verdict]:
            said = {
                str(row.get("autoVerdict"))
                for row in rows_after_start(recording)
                if is_ours(row, recording)
            }
            if verdict not in said or verdict not in schedule.fail_on:
                yield f"I6 exit {recording.exit_code}, but our rows said {said}"


def i8_is_bounded(schedule: Schedule, recording: Recording) -> Iterator[str]:
    """No scan begins after its deadline, but for one; no look is awaited for long after its own."""
    if recording.broken and recording.broken.startswith(("Hang", "ImpossibleSleep")):
        yield f"I8 {recording.broken}"
    ended, started = recording.moment("Ended"), recording.moment("Started")
    if ended is not None:
        deadline = ended + schedule.verdict_timeout + OUTWAITED
        late = [op for op in recording.ops if op.endpoint == "history" and op.began > deadline]
        if sum(op.page == "0" for op in late) > 1 + _suspended(schedule):
            yield f"I8 {len(late)} scans after the deadline"
    if started is not None:
        deadline = started + schedule.wait_timeout + TWO_REQUESTS
        late = [at for at, event in recording.moments if event in LOOKS and at > deadline]
        if len(late) > _suspended(schedule):
            yield f"I8 {len(late)} looks after the deadline"
    if len(recording.ops) > 60 + recording.ended / 0.09:
        yield f"I8 {len(recording.ops)} requests in {recording.ended:.0f} s"


def _suspended(schedule: Schedule) -> int:
    return sum(blow.action == "suspend" for blow in schedule.blows)


def i8_pages_are_needed(_schedule: Schedule, recording: Recording) -> Iterator[str]:
    """A further page is asked for only after a full one."""
    for op, following in zip(recording.ops, recording.ops[1:], strict=False):
        if op.endpoint == following.endpoint == "history" and following.page not in {"", "0"}:
            found = document(op.reply)
            rows = found.get("content") if isinstance(found, dict) else None
            if isinstance(rows, list) and len(rows) < 20:
                yield f"I8 page {following.page} is asked for after {len(rows)} rows"


def i9_transient_faults_do_no_harm(schedule: Schedule, recording: Recording) -> Iterator[str]:
    """When only reads failed, and in time, the exit code is that of the true verdict."""
    if not schedule.only_transient:
        return
    verdict = str(schedule.truth.verdict)
    expected = VERDICT_CODES[verdict] if verdict in schedule.fail_on else 0
    if recording.exit_code != expected:
        yield f"I9 exit {recording.exit_code} instead of {expected}: {recording.texts[:1]}"


def i12_the_key_stays_secret(_schedule: Schedule, recording: Recording) -> Iterator[str]:
    """The key is in no text, and goes to the configured server only."""
    yield from recording.leaks


def i14_signals_end_it(_schedule: Schedule, recording: Recording) -> Iterator[str]:
    """After a signal no start is sent, at most one stop, and the code is the signal's."""
    if not recording.signals:
        return
    at, number = recording.signals[0]
    if any(op.began > at for op in recording.starts()):
        yield "I14 started after a signal"
    if recording.exit_code != 128 + number:
        yield f"I14 exit {recording.exit_code} after signal {number}"


def i15_stops_are_rare(_schedule: Schedule, recording: Recording) -> Iterator[str]:
    """Nobody asked for a stop, so none is sent."""
    if any(op.endpoint == "stop" for op in recording.ops):
        yield "I15 stopped a run unasked"


def i16_retry_after_is_kept(schedule: Schedule, recording: Recording) -> Iterator[str]:
    """After a Retry-After the next request waits that long, or until the last look."""
    for op, following in zip(recording.ops, recording.ops[1:], strict=False):
        asked = _asked(op)
        gap = following.began - op.ended
        too_early = asked is not None and gap < min(asked, LONGEST_PAUSE) - OUTWAITED
        if too_early and not _is_last_look(schedule, recording, following):
            yield f"I16 asked to wait {asked:g} s at request {op.number}, waited {gap:.2f} s"


def _asked(op: Op) -> float | None:
    if op.reply is None or op.reply.status < 400 or op.endpoint in {"start", "detail", "stop"}:
        return None
    text = op.reply.headers.get("retry-after", "")
    if text.isascii() and text.isdigit() and len(text) <= 9:
        return float(text)
    return 600.0 if text.startswith("Sun, 01 Mar 2026 12:10") else None


def _is_last_look(schedule: Schedule, recording: Recording, op: Op) -> bool:
    for event, limit in (
        ("Started", schedule.wait_timeout),
        ("Ended", schedule.verdict_timeout),
        ("Ended", REPLACEMENT_GRACE),
    ):
        since = recording.moment(event)
        if since is not None and op.began >= since + limit - OUTWAITED:
            return True
    return False


def i17_code_is_documented(_schedule: Schedule, recording: Recording) -> Iterator[str]:
    if recording.broken:
        if not recording.broken.startswith(("Hang", "ImpossibleSleep")):
            yield f"I17 broke: {recording.broken.strip().splitlines()[-1]}"
    elif recording.exit_code not in DOCUMENTED - {64, 70, 73, 78}:
        yield f"I17 exit {recording.exit_code}"
    elif recording.exit_code not in {0, 2, 3, 4} and not recording.slug:
        yield f"I17 exit {recording.exit_code} without a reason"


def i18_nothing_started_is_true(_schedule: Schedule, recording: Recording) -> Iterator[str]:
    """Refused, unavailable and "nothing was started" mean that the world has no run of ours."""
    claims = recording.exit_code in {8, 69} or any(
        "nothing was started" in text for text in recording.texts
    )
    if claims and recording.world.started_by_us:
        yield f"I18 exit {recording.exit_code} says that nothing was started; a run was"


def i18_unknown_start_is_said(_schedule: Schedule, recording: Recording) -> Iterator[str]:
    """A start whose fate nobody knows ends as just that."""
    starts = recording.starts()
    known = start_was_answered(recording) or recognised_ours(recording)
    if not starts or recording.signals or known:
        return
    fault = starts[-1].fault
    refused = fault is not None and fault.kind in REFUSALS | {"401", "403"}
    unknown = starts[-1].outcome != "fail" or (starts[-1].reply is not None and not refused)
    if unknown and recording.exit_code != 7:
        yield f"I18 exit {recording.exit_code} after a start with unknown end"


CHECKS: tuple[Check, ...] = (
    i1_pass_has_evidence,
    i2_pass_is_true,
    i3_gated_truth_never_passes,
    i4_one_start,
    i6_verdict_codes_need_a_start,
    i6_gate_codes_are_true,
    i8_is_bounded,
    i8_pages_are_needed,
    i9_transient_faults_do_no_harm,
    i12_the_key_stays_secret,
    i14_signals_end_it,
    i15_stops_are_rare,
    i16_retry_after_is_kept,
    i17_code_is_documented,
    i18_nothing_started_is_true,
    i18_unknown_start_is_said,
)


def violations(schedule: Schedule, recording: Recording) -> list[str]:
    """Everything that this run of the gate has done wrong."""
    return [wrong for check in CHECKS for wrong in check(schedule, recording)]
