"""Mutants of the jobs: which run, in which status, told by whom, triggered how often."""

from tests.simulation.mutants.mutant import Mutant

RUNS = "tm_cli.backends.strait.runs"
STATES = "tm_cli.backends.strait.results"
TRIGGERING = "tm_cli.backends.strait.trigger"
ANSWERS = "tm_cli.backends.strait.trigger"
CONDITIONS = "tm_cli.backends.strait.conditions"
RESULTS = "tm_cli.backends.strait.results"
NEWS = "tm_cli.backends.strait.results"
CLIENT = "tm_cli.api.strait"
LINEAGE = "tm_cli.backends.strait.results"

MUTANTS = (
    Mutant(
        "strait-canceled-passes",
        STATES,
        "verdict_of",
        "    return canceled_as if status in STOPPED_FROM_OUTSIDE else None",
        "    return Verdict.PASS if status in STOPPED_FROM_OUTSIDE else None",
        "a canceled run passes",
    ),
    Mutant(
        "strait-first-run-is-the-end",
        RUNS,
        "StraitRuns._read_lineage",
        "        return Lineage(found, self._later(found))",
        "        return Lineage(found)",
        "a job that continues itself passes before its work is done",
    ),
    Mutant(
        "strait-next-run-is-the-last",
        LINEAGE,
        "later_runs",
        "        known |= new",
        "        known |= new\n        break",
        "a job passes while the last of several later runs goes on",
    ),
    Mutant(
        "strait-empty-lineage-is-an-answer",
        RUNS,
        "StraitRuns._later",
        "        is_known = statuses or (lineage == [] and _is_before_lineage(found))",
        "        is_known = True",
        "an answer that does not know the run says that nothing continues it",
    ),
    Mutant(
        "strait-dead-letters-go-on",
        STATES,
        "FAILURES",
        '"crashed", "system_failed", DEAD_LETTER})',
        '"crashed", "system_failed"})',
        "the usual end of a failing job is waited for until the deadline",
    ),
    Mutant(
        "strait-status-in-any-spelling",
        STATES,
        "phase_of",
        "    if status in TERMINAL:",
        "    if status.lower().strip() in TERMINAL or status in ('succeeded', 'done'):",
        "a status that nobody knows ends the wait",
    ),
    Mutant(
        "strait-unknown-run",
        TRIGGERING,
        "Trigger.made",
        "        return run.idempotency_key == self.request.key and",
        "        return True and",
        "the run of another trigger is ours",
    ),
    Mutant(
        "strait-answer-is-not-checked",
        RUNS,
        "TriggeredRuns._checked",
        "        if self._made_by is not None and not self._made_by.made(found):",
        "        if False:",
        "a job with a dedup window passes with an earlier run",
    ),
    Mutant(
        "strait-any-run-is-new",
        TRIGGERING,
        "Trigger._judged",
        "        is_older = self.snapshot.is_older(run, self.clock.now())",
        "        is_older = repeats_another = False",
        "an old run under the user's key is ours",
    ),
    Mutant(
        "strait-clocks-agree",
        TRIGGERING,
        "Snapshot.is_older",
        "        return not self.asked_at - CLOCK_SLACK <= run.created_at <= now + CLOCK_SLACK",
        "        return run.created_at < self.asked_at - CLOCK_SLACK",
        "an old run looks new by a clock that is ahead",
    ),
    Mutant(
        "strait-another-key",
        TRIGGERING,
        "Trigger.send",
        "self.request.job_id, self.request.body, self.request.key\n",
        "self.request.job_id, self.request.body, f'{self.request.key}-{attempts._failed}'\n",
        "every repetition is a new run",
    ),
    Mutant(
        "strait-refused-though-sent",
        TRIGGERING,
        "Trigger._raise_refusal",
        "        if self._maybe_sent:\n            return\n",
        "",
        "tm claims that nothing was started",
    ),
    Mutant(
        "strait-lost-answers-prove-nothing-sent",
        ANSWERS,
        "may_have_started",
        "            return error.maybe_sent",
        "            return False",
        "a start that was lost counts as not sent",
    ),
    Mutant(
        "strait-refused-key-again",
        ANSWERS,
        "is_refusal",
        "    if error.status in NO_ACCESS:\n        return True\n",
        "",
        "a refused key is tried until the address is locked out",
    ),
    Mutant(
        "strait-start-without-a-run",
        CLIENT,
        "StraitClient.trigger",
        "        if not answer.id and not answer.is_kept:",
        "        if False:",
        "a start that names no run is not asked for again",
    ),
    Mutant(
        "strait-any-run-in-the-answer",
        CLIENT,
        "_same",
        "    if found.id != run_id:",
        "    if False:",
        "an answer about another run is believed",
    ),
    Mutant(
        "strait-dead-letters-are-believed",
        RUNS,
        "StraitRuns._fresh",
        "        if found.status != DEAD_LETTER:",
        "        if True:",
        "a dead letter that came back fails the gate",
    ),
    Mutant(
        "strait-gateway-404-ends-it",
        "tm_cli.api.retry",
        "is_no_answer",
        "(not error.from_api or error.status >= 500)",
        "error.status >= 500",
        "a gateway that is up before the server ends the wait",
    ),
    Mutant(
        "strait-stream-is-not-heard",
        NEWS,
        "may_change_status",
        'return message is None or message.get("type") not in {"event", "stream_chunk"}',
        "raise ValueError(data)",
        "garbage in a stream ends the gate",
    ),
    Mutant(
        "strait-unmeasured-condition",
        CONDITIONS,
        "ResultCheck.judge",
        'return ConditionResult(self, None, f"{self.text}: the result has no such value")',
        'return ConditionResult(self, True, f"{self.text}: the result has no such value")',
        "a condition on what is not there holds",
    ),
    Mutant(
        "strait-true-is-one",
        CONDITIONS,
        "_compared",
        "    same_kind = isinstance(value, bool) == isinstance(wanted, bool)",
        "    same_kind = True",
        "1 counts as true",
    ),
    Mutant(
        "strait-duration-of-the-last-attempt",
        RESULTS,
        "seconds_of",
        "    due = _later(run.created_at, run.scheduled_at)",
        "    due = run.started_at",
        "a run may take as long as it likes, as long as its last attempt is short",
    ),
)
