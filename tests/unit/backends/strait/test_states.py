"""What the status of a job run means for the gate."""

import pytest

from tests.services.strait.world import MOVES, TERMINAL
from tm_cli.backends.strait import results
from tm_cli.gate.model import Phase
from tm_cli.values.verdict import Verdict


def test_every_status_of_the_contract_is_known():
    assert set(results.STATUSES) == set(MOVES)
    assert results.TERMINAL == TERMINAL


@pytest.mark.parametrize("status", sorted(MOVES))
def test_only_a_terminal_status_ends_a_wait(status):
    ended = results.phase_of(status) is Phase.ENDED
    assert ended == (status in TERMINAL)
    assert (results.verdict_of(status) is None) == (not ended)


@pytest.mark.parametrize("status", ["COMPLETED", "completed ", "complete", "", "succeeded"])
def test_status_that_nobody_knows_neither_ends_nor_passes(status):
    assert results.phase_of(status) is Phase.ACTIVE
    assert results.verdict_of(status) is None


@pytest.mark.parametrize("status", sorted(TERMINAL))
def test_nothing_but_completed_passes(status):
    assert (results.verdict_of(status) is Verdict.PASS) == (status == "completed")


@pytest.mark.parametrize("chosen", results.CANCELED_VERDICTS)
def test_canceled_and_expired_count_as_chosen(chosen):
    assert {results.verdict_of(status, chosen) for status in ("canceled", "expired")} == {chosen}
    assert results.verdict_of("failed", chosen) is Verdict.FAIL
