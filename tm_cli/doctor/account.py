"""What the server answers to the key: account, limits, history. Only reads, each sent once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tm_cli.api.errors import ApiError, HttpError
from tm_cli.api.trafficmorph.client import Client
from tm_cli.api.transport import Transport
from tm_cli.exit_codes import ExitCode
from tm_cli.values.check_result import CheckResult, ok, problem, problem_from, skipped, warning
from tm_cli.values.text import clean

NEARLY = 0.9
"""The part of a quota from which on it is worth a warning."""

SMALLEST_READS = {"runloop": "v1/benchmark_runs", "strait": "v1/runs"}
"""The cheapest read of each system that knows no accounts."""


def check_account(client: Client) -> Iterator[CheckResult]:
    """Try the key on the account and on the history."""
    try:
        yield from _account(client.get_account().document())
    except ApiError as error:
        if not (isinstance(error, HttpError) and error.status == 404):
            yield problem_from("access", error)
            yield skipped("history", "the account could not be read")
            return
        yield warning(
            "account",
            "this server has no accounts: its limits are unknown",
            "nothing to do: old servers have none",
        )
    yield _history(client)


def check_reading(transport: Transport, system: str) -> Iterator[CheckResult]:
    """Try the key on the cheapest read of another system."""
    try:
        transport.get(SMALLEST_READS[system], {"limit": 1})
    except ApiError as error:
        yield problem_from("access", error)
        return
    yield ok("access", f"accepted; the runs of {system} are readable")


def _account(account: Mapping[str, Any]) -> Iterator[CheckResult]:
    limits, usage = _table(account, "limits"), _table(account, "usage")
    yield ok("access", "accepted by the server")
    yield _plan(account, limits, usage)
    yield _capacity(limits, usage)


def _plan(
    account: Mapping[str, Any], limits: Mapping[str, Any], usage: Mapping[str, Any]
) -> CheckResult:
    plan, mode = account.get("subscriptionType"), account.get("deploymentMode")
    words = [f"plan {plan}" if plan else "plan unknown"]
    words += ["self-hosted"] if mode == "SELF_HOSTED" else []
    words += [f"{_number(limits, 'apiRequestsPerMinute')} requests to the API per minute"]
    features = account.get("features")
    named = [k for k, v in features.items() if v is True] if isinstance(features, dict) else []
    words += [f"with {', '.join(sorted(named))}"] if named else []
    facts = {"plan": clean(plan) if plan else None, "limits": _counts(limits)}
    text = "; ".join(words)
    if account.get("trialExpired") is True:
        fix = "the server refuses every request of such an account: choose a plan"
        return problem(
            "account", f"{text}; the trial is over", fix, ExitCode.AUTHENTICATION, **facts
        )
    used, quota = _count(usage, "usedRequests"), _count(usage, "includedRequests")
    if quota and used is not None and used >= quota * NEARLY:
        text = f"{text}; {used} of {quota} requests of this month are used"
        fix = "raise the quota, or wait for the next month"
        if used >= quota:
            return problem("account", text, fix, ExitCode.REFUSED, **facts)
        return warning("account", text, fix, **facts)
    return ok("account", text, **facts)


def _capacity(limits: Mapping[str, Any], usage: Mapping[str, Any]) -> CheckResult:
    active, most = _count(usage, "activeRunCount"), _count(limits, "maxConcurrentRuns")
    if active is None or not most:
        return skipped("capacity", "the server names no limit of concurrent runs")
    text = f"{active} of {most} concurrent runs are under way"
    if active >= most:
        return warning("capacity", text, "a start would be refused (8) until one of them has ended")
    return ok("capacity", text, active=active, most=most)


def _history(client: Client) -> CheckResult:
    try:
        page = client.list_history(size=1)
    except ApiError as error:
        return problem_from("history", error)
    total = page.document().get("totalElements")
    count = f"{total} entries" if isinstance(total, int) else "there are entries"
    return ok("history", f"readable, {count if page.content else 'empty'}")


def _table(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = document.get(name)
    return found if isinstance(found, dict) else {}


def _counts(table: Mapping[str, Any]) -> dict[str, int]:
    return {name: count for name in table if (count := _count(table, name)) is not None}


def _count(table: Mapping[str, Any], name: str) -> int | None:
    value = table.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _number(table: Mapping[str, Any], name: str) -> str:
    value = _count(table, name)
    return "an unknown number of" if value is None else str(value)
