"""Prompts: what a user can ask an assistant to do with the tools, step by step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tm_cli.errors import UsageError
from tm_cli.values.text import sanitize


@dataclass(frozen=True, slots=True)
class Prompt:
    """`arguments` are described by name, and all needed; `whole` ones are whole numbers.

    `tools` are those that `text` names: without them the prompt is of no use.
    """

    name: str
    title: str
    description: str
    arguments: Mapping[str, str]
    whole: frozenset[str]
    tools: tuple[str, ...]
    text: Callable[[Mapping[str, str]], str]

    def write(self, given: Mapping[str, str]) -> str:
        """Return what the user says; raises UsageError for wrong arguments."""
        values = {}
        for name in self.arguments:
            value = sanitize(given.get(name) or "", longest=LONGEST_ARGUMENT)
            if not value:
                raise UsageError(f"{self.name}: {name} is missing")
            if name in self.whole and not (value.isascii() and value.isdigit() and int(value)):
                raise UsageError(f"{self.name}: {name} must be a whole number, not {value!r}")
            values[name] = value
        if unknown := sorted(set(given) - set(self.arguments)):
            raise UsageError(f"{self.name}: unknown argument {sanitize(unknown[0])!r}")
        return self.text(values)


LONGEST_ARGUMENT = 4096
_PROFILE = {"profile_id": "Id of the profile, from tm_list_profiles."}
_COMPARED = (
    "In its answer, significance says which differences are more than chance: trust it before "
    "deltas and their mark regression, which are plain percentages."
)


def _triage(given: Mapping[str, str]) -> str:
    profile = given["profile_id"]
    return f"""\
Find out why the newest failed run of load-test profile {profile} failed.

1. tm_list_history with profile_id {profile}, auto_verdict FAIL and size 1. No run: tell me that \
nothing has failed, and stop.
2. tm_get_run with the id of that run and include_series false. Read autoVerdictReasons first, \
then responseCodes and latencyQuantiles.
3. tm_list_history with profile_id {profile}, auto_verdict PASS and size 1. No run: report on the \
failed one alone, and say that there is nothing to compare it with.
4. tm_compare_runs with the failed run as run_id and the passed one as baseline_run_id. \
{_COMPARED} For response codes, look at tm_get_run of the passed run too.
5. Report in three to five points: which metrics became worse, from what to what, the reasons that \
the server gives, and one or two things to look at next. Name only numbers that a tool returned."""


def _set_up(given: Mapping[str, str]) -> str:
    url, rps, seconds = given["target_url"], given["rps"], given["duration_seconds"]
    return f"""\
Set up a load test of {url} with {rps} requests per second for {seconds} seconds.

1. Take the host of that URL: lower case, without scheme, port, path and query. tm_get_account: \
where features.domainVerificationRequired is false, go on with step 3. Else look for the host in \
tm_list_domains; if it is there and verified, go on with step 3.
2. tm_add_domain with the host. Show me dnsInstruction and httpInstruction word for word, and wait \
until I say that one of them is done. Then call tm_verify_domain_dns or tm_verify_domain_http. \
If that fails, show me the error, which says what is expected, and wait again.
3. tm_create_profile with a short name made of the host, target_url {url}, duration_seconds \
{seconds}, points [{{"x": 0, "y": {rps}}}, {{"x": {seconds}, "y": {rps}}}], and http_method GET \
unless I said otherwise. If the name is taken, ask me whether to change that profile or to choose \
another name.
4. Ask me whether to start a run. Only if I agree: tm_start_run with the id of the profile, wait \
true and wait_timeout_seconds {int(seconds) + 120}. Report the verdict and the most important \
numbers. A first run has nothing to be compared with: its verdict is NO_BASELINE."""


def _compare(given: Mapping[str, str]) -> str:
    profile = given["profile_id"]
    return f"""\
Has anything changed for load-test profile {profile} since its last passed run?

1. tm_list_history with profile_id {profile} and size 1: the newest run.
2. tm_list_history with profile_id {profile}, auto_verdict PASS and size 1: the last passed one.
3. No run at all: say so and stop. No passed one: report on the newest run with tm_get_run \
(include_series false), and say that there is nothing to compare it with. The same run: say that \
the newest run has passed, with its most important numbers.
4. Else tm_compare_runs with the newest run as run_id and the passed one as baseline_run_id. \
{_COMPARED} Report what became worse, first of all latency_p95 and latency_p99, then what became \
better, and what stayed the same in one sentence."""


def _import(given: Mapping[str, str]) -> str:
    path = given["capture_path"]
    return f"""\
Make load-test profiles of the recorded traffic in {path}.

1. tm_analyse_capture with capture_path {path}. If the path is refused, show me the error, which \
says where captures must be, and stop.
2. Show me a table of the groups: number, method, urlSkeleton, rowCount, peakQps, names of the \
variables. Nothing else of the analysis.
3. Ask me which groups to import, and under which names. Without a name the server chooses one.
4. tm_import_capture with capture_path {path} and selections {{"groups": [{{"method": ..., \
"urlSkeleton": ..., "profileName": ...}}]}}, with method and urlSkeleton exactly as in the \
analysis. Call it once: a second import makes copies.
5. Report the created profiles with their ids, what was skipped and why, and the warnings. Suggest \
to look at each with tm_get_profile before the first run."""


PROMPTS = (
    Prompt(
        "tm_triage",
        "Explain the newest failed run",
        "Finds the newest failed run of a profile, compares it with the last passed one, and "
        "explains what became worse.",
        _PROFILE,
        frozenset({"profile_id"}),
        ("tm_list_history", "tm_get_run", "tm_compare_runs"),
        _triage,
    ),
    Prompt(
        "tm_setup_loadtest",
        "Set up a load test",
        "Verifies the domain where that is needed, creates a profile with a constant rate, and "
        "offers to start a run.",
        {
            "target_url": "URL to test.",
            "rps": "Requests per second, a whole number.",
            "duration_seconds": "Length of a run in seconds.",
        },
        frozenset({"rps", "duration_seconds"}),
        (
            "tm_get_account",
            "tm_list_domains",
            "tm_add_domain",
            "tm_verify_domain_dns",
            "tm_verify_domain_http",
            "tm_create_profile",
            "tm_start_run",
        ),
        _set_up,
    ),
    Prompt(
        "tm_compare_baseline",
        "Compare the newest run with the last passed one",
        "Tells whether anything has changed since the last passed run of a profile.",
        _PROFILE,
        frozenset({"profile_id"}),
        ("tm_list_history", "tm_get_run", "tm_compare_runs"),
        _compare,
    ),
    Prompt(
        "tm_import_capture_guided",
        "Import recorded traffic",
        "Analyses a capture, lets you choose groups of requests, and makes profiles of them.",
        {"capture_path": "Path of a JSONL file in the directory for captures."},
        frozenset(),
        ("tm_analyse_capture", "tm_import_capture", "tm_get_profile"),
        _import,
    ),
)
