"""The numbers on the page of the embedded server are those in the program."""

import pytest

from checks.pages import bare, rows, section
from tm_cli.server.engine.job import DEFAULT_SLOTS
from tm_cli.server.quota import Quota
from tm_cli.server.runs.progress import RunOutcome
from tm_cli.server.web.services import NEVER_USED_GRACE, UNUSED_GRACE
from tm_cli.values.load.journeys.checks import REQUEST_TIMEOUT

NAME = "docs/embedded-server.md"
SERVED = {row[0]: row[1] for row in rows(section(NAME, "What it serves"))}


@pytest.mark.parametrize(
    ("what", "number"),
    [
        ("profiles", Quota().profiles),
        ("runs at the same time", Quota().concurrent_runs),
        ("rate of a curve", Quota().profile_rps),
        ("requests under way at the same time, per run", DEFAULT_SLOTS),
        ("time for one request", int(REQUEST_TIMEOUT)),
        ("request headers", Quota().header_count),
        ("weekly schedule slots", Quota().schedule_slots),
        ("variables sets", Quota().variables_sets),
    ],
)
def test_limit_is_the_one_in_force(what, number):
    assert SERVED[what].replace(",", " ").split()[0] == str(number)


def test_page_lists_every_outcome():
    table = {bare(row[0]): row[2] for row in rows(section(NAME, "How runs end"))}
    assert list(table) == list(RunOutcome)
    assert [outcome for outcome, verdict in table.items() if verdict == "yes"] == ["COMPLETED"]


def test_times_of_the_lease_are_the_servers():
    assert (UNUSED_GRACE, NEVER_USED_GRACE) == (0.5, 30.0)
    text = " ".join(section(NAME, "Starting and stopping").split())
    assert "Half a second after the last lease is gone" in text
    assert "ends after 30 seconds" in text
