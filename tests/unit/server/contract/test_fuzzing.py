"""What is sent to the embedded server is answered as its OpenAPI document says."""

import pytest

from tests.simulation import scale
from tests.unit.server.contract.fuzzing import NOWHERE, fuzz
from tests.unit.server.running_server import RunningServer
from tm_cli.server.openapi.operations import OPERATIONS

IDS = [operation.id for operation in OPERATIONS.values()]
TIMES_AS_MANY = 10
"""Examples of each operation at full size."""
SHORT = 5
"""Seconds for the edges of one operation; those with a profile have hundreds."""

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory):
    server = RunningServer(tmp_path_factory.mktemp("fuzzed") / "data", **NOWHERE).start()
    yield server
    server.stop()


def test_edges_of_every_parameter_and_field(fuzzed):
    chosen = IDS if scale.SCALE >= 1 else [IDS[scale.first_seed() % len(IDS)]]
    found = fuzz(
        fuzzed,
        examples=1,
        seed=scale.first_seed(),
        phases=("coverage",),
        operations=chosen,
        seconds=None if scale.SCALE >= 1 else SHORT,
    )
    assert found.problems == []
    assert found.sent["coverage"] > 0


def test_random_requests_and_chains_of_them(fuzzed):
    examples = scale.scaled(TIMES_AS_MANY)
    found = fuzz(fuzzed, examples=examples, seed=scale.first_seed(), phases=("fuzzing", "stateful"))
    assert found.problems == []
    assert found.sent["fuzzing"] >= len(OPERATIONS) // 2
    assert found.sent["stateful"] > 0
