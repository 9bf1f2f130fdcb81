"""Invariants of a gate as pure functions: a schedule and a recording in, violations out.

I1 and I2 are the same claim by different means: I1 looks at what tm received, I2 at what is true.
What an answer means and what is true is for each system to say (`tests.simulation.system.System`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise

from tests.simulation.plan import Menu
from tests.simulation.recorder import Op, Recording
from tests.simulation.schedules import GATED, Schedule
from tests.simulation.system import system_of
from tm_cli.gate.events import Broken, Ended, Observed, RunStarted, Unobserved

VERDICTS = ("PASS", *GATED)
DOCUMENTED = {0, 1, 2, 3, 4, 5, 6, 7, 8, 64, 69, 70, 73, 77, 78, 129, 130, 143}
VERDICT_CODES = {"FAIL": 2, "WARN": 3, "NO_BASELINE": 4}
OUTWAITED = 0.05
LONGEST_PAUSE = 300.0
TWO_REQUESTS = 61.0
"""Seconds: a look at the status and, where that is missing, at the profile, both very slow."""

LONGEST_STOP = 4 * TWO_REQUESTS + 180.0
"""Seconds: four attempts, each after a look, and three pauses that the server asked for."""

LOOKS = frozenset({Observed.__name__, Unobserved.__name__})
REPLACEMENT_GRACE = 3.0
"""How long the row of a replaced run is looked for; one last look may come before its time."""

Check = Callable[[Schedule, Recording], Iterator[str]]


def passed(schedule: Schedule, recording: Recording) -> bool:
    """Whether a gate was set and let the run pass."""
    return recording.exit_code == 0 and bool(schedule.fail_on)


def i1_pass_has_evidence(schedule: Schedule, recording: Recording) -> Iterator[str]:
    """A pass needs an answer with an acceptable verdict of ours, and none that says otherwise."""
    if not passed(schedule, recording):
        return
    said = system_of(schedule).said(schedule, recording)
    accepted = set(VERDICTS) - set(schedule.fail_on)
    if not any(isinstance(verdict, str) and verdict in accepted for verdict in said):
        yield f"I1 passed without an acceptable verdict of ours: {said}"
    if bad := [v for v in said if isinstance(v, str) and v and v not in accepted]:
        yield f"I1 passed although an answer about ours said {bad}"


def i2_pass_is_true(schedule: Schedule, recording: Recording) -> Iterator[str]:
    """A pass is so in the world: our run's verdict, when it was read last, is acceptable."""
    if passed(schedule, recording):
        true = system_of(schedule).true(schedule, recording)
        if not true & (set(VERDICTS) - set(schedule.fail_on)):
            yield f"I2 passed, but the verdict of our run was {true or 'nowhere'}"


def i3_gated_truth_never_passes(schedule: Schedule, recording: Recording) -> Iterator[str]:
    """When the run was only ever judged with a gated verdict, the exit code is not 0."""
    ever = system_of(schedule).ever(schedule, recording)
    if passed(schedule, recording) and ever and ever <= set(schedule.fail_on):
        yield f"I3 passed, but the truth is {sorted(map(str, ever))}"


def i4_one_start(schedule: Schedule, recording: Recording) -> Iterator[str]:
    """At most one run is started, and what may have started one is not sent again.

    Where the server promises to know a repetition, it may be sent again under the same key.
    """
    if len(recording.world.started_by_us) > 1:
        yield f"I4 started {len(recording.world.started_by_us)} runs"
    system, starts = system_of(schedule), recording.starts()
    for op, following in pairwise(starts):
        is_known = system.DIALECT.repeats_under_a_key and op.key and op.key == following.key
        if may_have_acted(op, system.MENU) and not is_known:
            yield "I4 repeated a start that may have happened"


def may_have_acted(op: Op, menu: Menu) -> bool:
    """Whether tm cannot know that this start has had no effect."""
    if op.fault is not None and op.fault.kind not in {*menu.spoilt, "slow"}:
        return op.fault.kind not in menu.never_acted
    return op.reply is None or op.reply.status < 400  # the server's own refusal, if it is one


def i6_verdict_codes_need_a_start(schedule: Schedule, recording: Recording) -> Iterator[str]:
    if recording.exit_code in {0, 2, 3, 4} and not knows_its_run(schedule, recording):
        yield f"I6 exit {recording.exit_code} without an answered start"


def knows_its_run(schedule: Schedule, recording: Recording) -> bool:
    """Whether tm can know which run is its own."""
    system = system_of(schedule)
    return (
        recording.attached
        or system.start_was_answered(recording)
        or system.recognised_ours(recording)
    )


def i6_gate_codes_are_true(schedule: Schedule, recording: Recording) -> Iterator[str]:
    """2, 3 and 4 come from an answer about ours that says so, and only when it is gated."""
    for verdict in GATED:
        if recording.exit_code == VERDICT_CODES[verdict]:
            said = set(map(str, system_of(schedule).said(schedule, recording)))
            if recording.slug == "aborted" and schedule.abort_if:
                continue  # a check of its own asks for the evidence
            if verdict not in said or verdict not in schedule.fail_on:
                yield f"I6 exit {recording.exit_code}, but the answers said {said}"


def i8_is_bounded(schedule: Schedule, recording: Recording) -> Iterator[str]:
    """No scan begins after its deadline, but for one; no look is awaited for long after its own."""
    if recording.broken and recording.broken.startswith(("Hang", "ImpossibleSleep")):
        yield f"I8 {recording.broken}"
    ended, started = recording.moment(Ended), recording.moment(RunStarted)
    if broken := recording.moment(Broken):  # its record is looked for once it could be stopped
        asleep = sum(blow.arg for blow in schedule.blows if blow.action == "suspend")
        ended = broken + LONGEST_STOP + asleep
    if ended is not None:
        deadline = ended + schedule.verdict_timeout + OUTWAITED
        scan = system_of(schedule).DIALECT.scan
        late = [op for op in recording.ops if op.endpoint == scan and op.began > deadline]
        if sum(op.page in {"", "0"} for op in late) > 1 + _suspended(schedule):
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


def i9_transient_faults_do_no_harm(schedule: Schedule, recording: Recording) -> Iterator[str]:
    """When only reads failed, and in time, the exit code is that of the true verdict."""
    if not schedule.only_transient:
        return
    verdict = system_of(schedule).expected(schedule, recording)
    expected = VERDICT_CODES[verdict] if verdict in schedule.fail_on else 0
    if verdict not in VERDICTS:
        yield f"I9 exit {recording.exit_code} while the verdict is {verdict}"
    elif recording.exit_code != expected:
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


def i15_stops_are_rare(schedule: Schedule, recording: Recording) -> Iterator[str]:
    """Without a live limit nothing asks for a stop, so none is sent."""
    if not schedule.abort_if and any(op.endpoint == "stop" for op in recording.ops):
        yield "I15 stopped a run unasked"


def i16_retry_after_is_kept(schedule: Schedule, recording: Recording) -> Iterator[str]:
    """After a Retry-After the next request waits that long, or until the last look."""
    for op, following in pairwise(recording.ops):
        asked = _asked(op, system_of(schedule).DIALECT.unpaced)
        was_suspended = any(
            blow.action == "suspend" and blow.request == op.number for blow in schedule.blows
        )  # the server has answered before that
        gap = following.began - (op.began if was_suspended else op.ended)
        too_early = asked is not None and gap < min(asked, LONGEST_PAUSE) - OUTWAITED
        if too_early and not _is_last_look(schedule, recording, following):
            yield f"I16 asked to wait {asked:g} s at request {op.number}, waited {gap:.2f} s"


def _asked(op: Op, unpaced: frozenset[str]) -> float | None:
    if op.reply is None or op.reply.status < 400 or op.endpoint in unpaced:
        return None
    text = op.reply.headers.get("retry-after", "")
    if text.isascii() and text.isdigit() and len(text) <= 9:
        return float(text)
    return 600.0 if text.startswith("Sun, 01 Mar 2026 12:10") else None


def _is_last_look(schedule: Schedule, recording: Recording, op: Op) -> bool:
    for event, limit in (
        (RunStarted, schedule.wait_timeout),
        (Ended, schedule.verdict_timeout),
        (Ended, REPLACEMENT_GRACE),
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


def i18_unknown_start_is_said(schedule: Schedule, recording: Recording) -> Iterator[str]:
    """A start whose fate nobody knows ends as just that."""
    starts, system = recording.starts(), system_of(schedule)
    if not starts or recording.signals or knows_its_run(schedule, recording):
        return
    if may_have_acted(starts[-1], system.MENU) and recording.exit_code != 7:
        yield f"I18 exit {recording.exit_code} after a start with unknown end"


CHECKS: tuple[Check, ...] = (
    i1_pass_has_evidence,
    i2_pass_is_true,
    i3_gated_truth_never_passes,
    i4_one_start,
    i6_verdict_codes_need_a_start,
    i6_gate_codes_are_true,
    i8_is_bounded,
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
    checks = (*CHECKS, *system_of(schedule).CHECKS)
    return [wrong for check in checks for wrong in check(schedule, recording)]
