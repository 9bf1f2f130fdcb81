"""`tm history list`: which runs, and what makes a list of them worth reading."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from tm_cli.cli import options
from tm_cli.cli.session import CommandContext
from tm_cli.commands.shared.lists import ListOptions, ListView, show_list
from tm_cli.completion.candidates import complete_profiles
from tm_cli.errors import UsageError

if TYPE_CHECKING:
    from tm_cli.api.trafficmorph import HistoryRow
    from tm_cli.commands.history.rows import HistoryRows

DEFAULT_LIMIT = 20


@dataclass(frozen=True, slots=True)
class RunFilter:
    """A bundle: which runs of the history are meant; all conditions must hold."""

    profile: Annotated[
        str | None,
        typer.Option(
            metavar="PROFILE",
            autocompletion=complete_profiles,
            help="Filter by profile id or name.",
        ),
    ] = None
    verdict: Annotated[
        Literal["PASS", "WARN", "FAIL", "NO_BASELINE"] | None,
        typer.Option(metavar="VERDICT", case_sensitive=False, help="Filter by verdict."),
    ] = None
    triggered_by: Annotated[
        Literal["api", "manual", "scheduled"] | None,
        typer.Option(metavar="SOURCE", help="Filter by trigger."),
    ] = None
    region: Annotated[str | None, typer.Option(metavar="REGION", help="Filter by region.")] = None
    tag: Annotated[str | None, typer.Option(metavar="TAG", help="Filter by tag.")] = None
    since: options.Since = None
    until: options.Until = None

    def read(self, session: CommandContext) -> dict[str, str | int | None]:
        """Return the filters of the API; raises UsageError, and Refused for an unknown profile."""
        now = session.context.clock.now()
        since, until = self.since, self.until
        return {
            "autoVerdict": self.verdict,
            "triggeredBy": self.triggered_by,
            "region": self.region,
            "tag": self.tag,
            "from": None if since is None else options.read_time("--from", since, now=now),
            "to": None if until is None else options.read_time("--to", until, now=now),
            "profileId": None if self.profile is None else _profile_id(session, self.profile),
        }


def _profile_id(session: CommandContext, text: str) -> int:
    from tm_cli.commands.shared.profile_argument import resolve_profile

    return resolve_profile(session.client, text, session.context.cwd).profile_id


@dataclass(frozen=True, slots=True)
class ListedRun:
    """A row, and its p95 with the change in percent since its baseline or an earlier run."""

    row: HistoryRow
    p95: float | None
    p95_change: float | None


def list_runs(
    session: CommandContext,
    chosen: RunFilter,
    listing: ListOptions,
    *,
    page: int | None,
    size: int | None,
    details: bool,
) -> int:
    """Print the runs that match, newest first; `page` and `size` are one page of the API."""
    if (page, size) != (None, None) and (listing.all_items or listing.limit is not None):
        raise UsageError("--page and --size are one page; --limit and --all exclude them")
    most = listing.most(size or DEFAULT_LIMIT)
    rows: list[HistoryRows] = []

    def fetch() -> Iterator[ListedRun]:
        from tm_cli.commands.history.rows import LARGEST_PAGE, HistoryRows

        found = HistoryRows(session, chosen.read(session), most or LARGEST_PAGE, start=page or 0)
        rows.append(found)
        return _listed(session, found, reads_details=details)

    code = show_list(
        session,
        listing,
        view(),
        fetch,
        default=most,
        total=lambda: rows[0].total,
        wrap=lambda items: _document(rows[0], items, most),
    )
    first = rows[0].first
    is_table = not (session.wants_json or listing.json_lines or details)
    if is_table and first and first.content and not any(map(_has_times, first.content)):
        session.note("tm: this list has no response times; --details reads each run by itself")
    return code


def _has_times(row: HistoryRow) -> bool:
    return row.latency_quantiles is not None


def _document(rows: HistoryRows, items: Sequence[Any], most: int | None) -> dict[str, Any]:
    """Return a page as the API sends it; a longer list is one long page."""
    first = rows.first
    known = first.document() if first else {}
    if first is None or len(items) <= len(first.content):
        return {**known, "content": items}
    length = most or len(items)
    pages = {} if rows.total is None else {"totalPages": -(-rows.total // length)}
    return {**known, "content": items, "size": length, **pages}


def _listed(session: CommandContext, rows: HistoryRows, *, reads_details: bool) -> Iterator[Any]:
    from tm_cli.commands.history.show import with_details

    for page in rows.pages():
        known = [with_details(session, row) for row in page] if reads_details else page
        yield from _with_changes(known)


def _with_changes(rows: Sequence[HistoryRow]) -> Iterator[ListedRun]:
    """Add how p95 changed: as the verdict has it, else since the run before on the same page."""
    from tm_cli.commands.history.comparable import is_comparable, metric_of

    values = [metric_of("p95", row) for row in rows]
    for n, row in enumerate(rows):
        change = _judged_change(row)
        if change is None and (value := values[n]) is not None:
            before = next((m for m in range(n + 1, len(rows)) if is_comparable(rows[m], row)), None)
            known = None if before is None else values[before]
            change = None if known is None else 100 * (value / known - 1)
        yield ListedRun(row, values[n], change)


def as_judged(row: HistoryRow) -> ListedRun:
    """Return the row with nothing but what its verdict says of p95."""
    from tm_cli.commands.history.comparable import metric_of

    return ListedRun(row, metric_of("p95", row), _judged_change(row))


def _judged_change(row: HistoryRow) -> float | None:
    from tm_cli.backends.trafficmorph.results import read_comparisons
    from tm_cli.values.text import as_number

    if isinstance(row.latency_changes, dict):
        return as_number(row.latency_changes.get("p95"))
    items = read_comparisons(row.auto_compare_snapshot)
    return next((item.change for item in items if item.metric == "p95"), None)


def view() -> ListView[ListedRun]:
    """Return the columns and fields of the list."""
    from tm_cli.api.trafficmorph import HistoryRow
    from tm_cli.commands.shared.ci_platforms import tagged_branch, tagged_commit
    from tm_cli.render.comparisons import verdict_cell
    from tm_cli.render.tables import instant, milliseconds, percent, rate

    return ListView(
        noun="runs",
        columns={
            "ID": lambda run: run.row.id,
            "PROFILE": lambda run: run.row.profile_name,
            "STARTED": lambda run: instant(run.row.started_at),
            "VERDICT": lambda run: verdict_cell(run.row.auto_verdict or unjudged(run.row)),
            "P95": lambda run: None if run.p95 is None else milliseconds(run.p95),
            "CHANGE": lambda run: _change(run.p95_change),
            "REQUESTS": lambda run: run.row.total_requests,
            "SUCCESS": lambda run: percent(run.row.success_rate),
            "AVG RPS": lambda run: rate(run.row.avg_rps),
            "COMMIT": lambda run: (tagged_commit(run.row.tags) or "")[:10],
            "BRANCH": lambda run: tagged_branch(run.row.tags),
            "RUN": lambda run: run.row.run_id,
        },
        fields=HistoryRow.field_names(),
        least=("RUN", "AVG RPS", "SUCCESS", "BRANCH", "REQUESTS", "COMMIT"),
        optional=("P95", "CHANGE", "COMMIT", "BRANCH"),
        computed={
            "p95": lambda run: run.p95,
            "p95_change": lambda run: None if run.p95_change is None else round(run.p95_change, 3),
            "commit": lambda run: tagged_commit(run.row.tags),
            "branch": lambda run: tagged_branch(run.row.tags),
        },
        document=lambda run: run.row.document(),
    )


def _change(change: float | None) -> str | None:
    return None if change is None else f"{change:+,.1f} %"


def unjudged(row: HistoryRow) -> str:
    """Return what is shown of a run without a verdict."""
    return row.outcome.lower() if row.outcome not in (None, "", "COMPLETED") else "pending"
