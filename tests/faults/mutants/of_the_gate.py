"""Mutants of the rules: which run, which verdict, when, and what follows from it."""

from faults.mutants.mutant import Mutant

RUNS = "backends/trafficmorph/runs.py"
STARTING = "backends/trafficmorph/start.py"
CORRELATE = "backends/trafficmorph/correlation.py"
FLOW = "gate/lifecycle.py"
POLICY = "gate/policy.py"

MUTANTS = (
    Mutant(
        "top-row",
        RUNS,
        "if found := scan.exact or scan.legacy:",
        "if found := (0,) if seen else ():",
        "takes the newest row for ours",
    ),
    Mutant(
        "row-newer-than-before",
        CORRELATE,
        "if row.run_id != wanted.run_id:",
        "if False:",
        "every row that is newer than the snapshot is ours",
    ),
    Mutant(
        "row-from-before",
        CORRELATE,
        "            elif _is_new(row, wanted):",
        "            elif True:",
        "a run that was over before the start counts",
    ),
    Mutant(
        "legacy-window",
        CORRELATE,
        "    if distance > LATEST:",
        "    if False:",
        "a row without id that began much later counts",
    ),
    Mutant(
        "legacy-window-before",
        CORRELATE,
        "    if wanted.newest_before is not None and row.row_id <= wanted.newest_before:",
        "    if False:",
        "a row without id may be older than the start",
    ),
    Mutant(
        "rows-may-disagree",
        RUNS,
        "if len({row.auto_verdict for row in rows}) > 1:",
        "if False:",
        "the newest of two rows of one run decides",
    ),
    Mutant(
        "any-profile",
        RUNS,
        "if row.profile_id is not None and row.profile_id != self._profile_id:",
        "if False:",
        "a row of another profile counts",
    ),
    Mutant(
        "first-page-only",
        RUNS,
        "LAST_PAGE = 9",
        "LAST_PAGE = 0",
        "a busy profile hides our row",
    ),
    Mutant(
        "never-last-page",
        CORRELATE,
        "    if len(rows) < size:",
        "    if False:",
        "pages are asked for that do not exist",
    ),
    Mutant(
        "detail-may-differ",
        RUNS,
        "if detail.verdict_text != result.verdict_text or detail.run_id != result.run_id:",
        "if False:",
        "a verdict that changes while it is read passes",
    ),
    Mutant(
        "detail-is-needed",
        RUNS,
        "            return as_result(reader.get_history_item(history_id))\n"
        "        except ApiError:\n            return None",
        "            return as_result(reader.get_history_item(history_id))\n"
        "        except ApiError:\n            raise",
        "a known verdict is lost with the detail",
    ),
    Mutant(
        "verdict-in-any-case",
        "gate/verdict.py",
        "return Verdict(text) if text in KNOWN else Verdict.UNKNOWN",
        "return Verdict(text.strip().upper()) if text.strip().upper() in KNOWN "
        "else Verdict.UNKNOWN",
        "` pass` and `PAſſ` pass",
    ),
    Mutant(
        "unknown-verdict-passes",
        POLICY,
        "if result.final or result.verdict not in KNOWN:",
        "if result.final or result.verdict is None:",
        "a verdict of a newer server passes",
    ),
    Mutant(
        "missing-verdict-passes",
        POLICY,
        'return Decision(ExitCode.UNDECIDED, message, code="undecided", matched=True)',
        "return Decision(ExitCode.OK, message)",
        "no verdict counts as a good one",
    ),
    Mutant(
        "gate-is-forgotten",
        POLICY,
        "    if verdict in gate.fail_on:",
        "    if verdict in gate.fail_on and verdict is not Verdict.WARN:",
        "WARN passes although it is gated",
    ),
    Mutant(
        "wrong-code",
        POLICY,
        "    Verdict.FAIL: ExitCode.FAIL,",
        "    Verdict.FAIL: ExitCode.WARN,",
        "FAIL exits as WARN",
    ),
    Mutant(
        "error-is-no-failure",
        POLICY,
        "    exit_code = error.exit_code if error.exit_code is not ExitCode.OK "
        "else ExitCode.INTERNAL",
        "    exit_code = ExitCode.OK",
        "whatever goes wrong exits 0",
    ),
    Mutant(
        "cut-off-run-counts",
        "backends/trafficmorph/results.py",
        'cut_off = row.outcome not in (None, "", "COMPLETED")',
        "cut_off = False",
        "a stopped run is waited for, or its verdict counts",
    ),
    Mutant(
        "timeout-is-undecided",
        FLOW,
        "                raise self._timed_out(run)",
        '                raise Undecided("too late")',
        "the two timeouts are mixed up; never ends as wait timeout",
    ),
    Mutant(
        "no-wait-deadline",
        FLOW,
        "            if remaining <= 0:\n                raise self._timed_out(run)",
        "            if remaining < -(10**9):\n                raise self._timed_out(run)",
        "a looping run is waited for without end",
    ),
    Mutant(
        "no-verdict-deadline",
        FLOW,
        "            if remaining <= 0:\n                self._give_up",
        "            if remaining <= -600:\n                self._give_up",
        "a missing verdict is waited for too long",
    ),
    Mutant(
        "wall-clock-deadline",
        FLOW,
        "        deadline = self._clock.monotonic() + self._gate.wait_timeout\n        is_over",
        "        self._clock.monotonic = lambda: self._clock.now().timestamp()\n"
        "        deadline = self._clock.monotonic() + self._gate.wait_timeout\n        is_over",
        "a step of the wall clock ends the wait, or prolongs it",
        first="wall clock",
    ),
    Mutant(
        "one-bad-read-ends-it",
        FLOW,
        "        pause = self._system.observed_nothing(error)\n        if pause is None:",
        "        pause = self._system.observed_nothing(error)\n        if True:",
        "one 502 ends a wait of half an hour",
    ),
    Mutant(
        "retry-after-of-a-look",
        "api/retry.py",
        "    return requested_pause(error)",
        "    return 0.0",
        "Retry-After is ignored while polling",
    ),
    Mutant(
        "refused-key-is-ridden-out",
        "api/retry.py",
        "            return error.status in TRANSIENT_STATUSES",
        "            return True",
        "a revoked key is tried until the deadline",
    ),
    Mutant(
        "ended-run-is-waited-for",
        "backends/trafficmorph/runs.py",
        'return _PHASES.get(status or "", Phase.ENDED)',
        'return _PHASES.get(status or "", Phase.ACTIVE)',
        "a run that has ended is waited for until the deadline",
    ),
    Mutant(
        "start-again-after-timeout",
        STARTING,
        "                if error.maybe_sent:",
        "                if False:",
        "a start whose answer was lost is sent again",
    ),
    Mutant(
        "start-gives-up",
        STARTING,
        "START_ATTEMPTS = 3",
        "START_ATTEMPTS = 1",
        "a refused connection is not tried again",
    ),
    Mutant(
        "502-is-a-refusal",
        STARTING,
        "REFUSALS = frozenset({400,",
        "REFUSALS = frozenset({500, 502, 503, 504, 400,",
        "a start that a gateway lost counts as refused",
    ),
    Mutant(
        "gateway-429-is-a-refusal",
        STARTING,
        "    if error.status in REFUSALS and error.from_api:",
        "    if error.status in REFUSALS:",
        "a gateway's 429 counts as the server's",
    ),
    Mutant(
        "start-without-answer-is-taken",
        STARTING,
        'raise NotUnderstood("the answer is about another profile")',
        "pass",
        "the start of another profile counts as ours",
    ),
    Mutant(
        "unreadable-snapshot",
        STARTING,
        "if self._snapshot is not None and self._snapshot.id is None:",
        "if False:",
        "without a snapshot old rows may count",
    ),
    Mutant(
        "signal-is-no-failure",
        "gate/scheduler.py",
        "            yield position, follow.decided(from_error(error, gate))",
        "            yield position, follow.decided(replace_ok(error, gate))\n\n\n"
        "def replace_ok(error, gate):\n"
        "    from dataclasses import replace\n\n"
        "    return replace(from_error(error, gate), exit_code=0)",
        "Ctrl-C exits 0",
    ),
    Mutant(
        "unasked-stop",
        FLOW,
        "        if stop and self._stopped(self.run):",
        "        if self._stopped(self.run):",
        "Ctrl-C stops a run that should go on",
    ),
)
