"""Mutants of the benchmarks: which run, whole or not, judged by what, started how often."""

from faults.mutants.mutant import Mutant

JUDGE = "backends/runloop/judge.py"
CASE = "backends/runloop/judge.py"
EVIDENCE = "backends/runloop/measurements.py"
RUNS = "backends/runloop/runs.py"
STARTING = "backends/runloop/start.py"
DRIVEN = "backends/runloop/driven_runs.py"
RULES = "backends/runloop/rules.py"
LISTING = "api/runloop/client.py"

MUTANTS = (
    Mutant(
        "runloop-canceled-by-its-score",
        JUDGE,
        "    if case.run.state == CANCELED:",
        "    if False:",
        "a canceled run with a flattering score is judged by it",
    ),
    Mutant(
        "runloop-any-end",
        RUNS,
        "        if seen.state in ENDED:\n            return Progress(Phase.ENDED",
        "        if seen.state not in {'running'}:\n            return Progress(Phase.ENDED",
        "a state that nobody knows ends the wait",
    ),
    Mutant(
        "runloop-cursors-that-come-back",
        LISTING,
        "follow_cursors(fetch, _next_cursor):",
        "((page, _next_cursor(page)) for page in iter(lambda: fetch(None), None)):",
        "a list without end is read for ever",
    ),
    Mutant(
        "runloop-coverage",
        JUDGE,
        "coverage_of(run, case.expected.ids, total) < case.rules.coverage - TOLERANCE",
        "False",
        "three scenarios of five hundred pass",
    ),
    Mutant(
        "runloop-repeats-count-as-coverage",
        "backends/runloop/differences.py",
        "    return min(len(covered) / total, 1.0)",
        "    return min(len(run.attempts) / total, 1.0)",
        "one scenario three times is three scenarios",
    ),
    Mutant(
        "runloop-strange-scenarios",
        JUDGE,
        "    if unknown:",
        "    if False:",
        "scenarios of another benchmark raise the score",
    ),
    Mutant(
        "runloop-unfinished-scenarios",
        JUDGE,
        "    if going:",
        "    if False:",
        "a run that was completed too early passes",
    ),
    Mutant(
        "runloop-failed-scenarios",
        JUDGE,
        "    if number > most:",
        "    if False:",
        "failed scenarios do not count",
    ),
    Mutant(
        "runloop-broken-scorers",
        EVIDENCE,
        "    if broken_scorers:",
        "    if False:",
        "a score that nobody has measured counts",
    ),
    Mutant(
        "runloop-missing-score-is-zero-rules",
        JUDGE,
        "    if case.run.usable_score is None:",
        "    if False:",
        "without a score there is nothing to object to",
    ),
    Mutant(
        "runloop-odd-scores",
        RULES,
        "    if not -TOLERANCE <= value <= 1 + TOLERANCE:  # also not for NaN",
        "    if False:",
        "a score of 1.5 is a perfect one",
    ),
    Mutant(
        "runloop-scores-as-text",
        RULES,
        "    if isinstance(value, bool) or not isinstance(value, int | float):",
        "    value = float(value) if isinstance(value, str) else value\n"
        "    if not isinstance(value, int | float):",
        "true and texts are scores",
    ),
    Mutant(
        "runloop-no-baseline-passes",
        JUDGE,
        "    if case.rules.needs_baseline and (why := case.incomparable):",
        "    if False and (why := case.incomparable):",
        "a drop that cannot be measured is none",
    ),
    Mutant(
        "runloop-drop-the-other-way",
        CASE,
        "        return compared.before - compared.now",
        "        return compared.now - compared.before",
        "the better run fails, the worse one passes",
    ),
    Mutant(
        "runloop-any-benchmark",
        RUNS,
        "seen.benchmark_id not in (None, self._benchmark_id):",
        "False:",
        "a run of another benchmark is ours",
    ),
    Mutant(
        "runloop-unmarked-run",
        RUNS,
        "        if self._token is not None and seen.metadata.get(MARK) != self._token:",
        "        if False:",
        "a run from long ago is ours",
    ),
    Mutant(
        "runloop-scenarios-of-another-run",
        RUNS,
        "        if any(item.benchmark_run_id not in (None, seen.id) for item in scenario_runs):",
        "        if False:",
        "another run's scenarios are judged",
    ),
    Mutant(
        "runloop-judged-once",
        RUNS,
        'if judged.get(name) != now and (name, judged.get(name)) != ("score", None):',
        "if False:",
        "a score that changes while it is judged passes",
    ),
    Mutant(
        "runloop-found-by-name",
        RUNS,
        "            if run.metadata.get(MARK) == token and run.id not in self._known:",
        "            if run.id not in self._known:",
        "another run of this name is adopted",
    ),
    Mutant(
        "runloop-lost-start-again",
        STARTING,
        "        return not error.maybe_sent",
        "        return True",
        "a lost start is sent again",
    ),
    Mutant(
        "runloop-5xx-start-again",
        STARTING,
        "isinstance(error, HttpError) and error.status == TOO_MANY",
        "isinstance(error, HttpError) and error.status in (429, 500, 502, 503, 504)",
        "a start that a gateway gave up on is sent again",
    ),
    Mutant(
        "runloop-lost-start-is-refused",
        STARTING,
        "        raise StartUnknown(",
        "        raise Refused(",
        "tm claims that nothing was started",
    ),
    Mutant(
        "runloop-half-a-list",
        LISTING,
        '            raise NotUnderstood(f"the listing of {what} is incomplete: {why}")',
        "            return list(found.values())",
        "a page that promises more is the last one",
    ),
    Mutant(
        "runloop-first-page",
        LISTING,
        "    if not page.has_more or not page.items:",
        "    page.__dict__['has_more'] = False\n    if True:",
        "failed scenarios on the second page are not seen",
    ),
    Mutant(
        "runloop-pause-is-not-kept",
        RUNS,
        "            if isinstance(error, HttpError) and error.retry_after:",
        "            if False:",
        "a list that is put off does not put off the next look",
    ),
    Mutant(
        "runloop-no-baseline-hides-a-warning",
        "backends/runloop/judge.py",
        "    if verdict is not Verdict.NO_BASELINE:",
        "    if True:",
        "without a baseline a score that is low enough to warn passes",
    ),
    Mutant(
        "runloop-failed-driver",
        DRIVEN,
        "        if exit_code:",
        "        if False:",
        "a driver that failed has done its work",
    ),
    Mutant(
        "runloop-completed-unasked",
        DRIVEN,
        "        if self._driver is not None and exit_code is None:",
        "        if False:",
        "a run is completed while its driver still works",
    ),
)
