"""The benchmark and job gates, called by the official client over stdio."""

import re
from datetime import UTC, datetime

import pytest
from werkzeug.wrappers import Response

from tests.process.mcp.assistant import Assistant, over_stdio
from tests.services.runloop import KEY as RUNLOOP_KEY
from tests.services.runloop import Request, RunloopWorld
from tests.services.strait.api import KEY as STRAIT_KEY
from tests.services.strait.api import Api as StraitApi
from tests.services.strait.server import StraitServer
from tests.services.strait.world import Course, World
from tests.simulation.scale import whole

QUICKLY = {"poll_interval_seconds": 0.1}
LIVELY = Course(queued=0.05, executing=0.1, result={"exported": 120})
FAILING = Course(queued=0.05, executing=0.1, attempts=("failed",))


pytestmark = [pytest.mark.process, whole]


@pytest.fixture
def runloop(httpserver):
    """A Runloop server whose runs are driven as soon as they are looked at."""
    world = RunloopWorld()

    def handle(request):
        headers = {name.lower(): value for name, value in request.headers.items()}
        path, _, query = request.environ.get("RAW_URI", request.full_path).partition("?")
        reply = world.answer(Request(request.method, path, query, headers, request.get_data()))
        return Response(reply.body, status=reply.status, content_type=reply.kind)

    httpserver.expect_request(re.compile(".*")).respond_with_handler(handle)
    world.url = httpserver.url_for("/")
    return world


@pytest.fixture
def strait():
    world = World(lambda: datetime.now(UTC))
    server = StraitServer(StraitApi(world))
    world.url = server.url
    yield world
    server.close()


@pytest.fixture
def speak(tmp_path):
    """Speak with a `tm mcp` that has this environment."""

    def speak(**environ):
        home = {"TM_STATE_DIR": str(tmp_path / "state"), "TM_CONFIG_DIR": str(tmp_path / "config")}
        return Assistant(over_stdio({**environ, **home}, tmp_path))

    return speak


def test_the_benchmark_gate_is_green_and_red(runloop, speak):
    runloop.benchmark(scenarios=2)
    with speak(RUNLOOP_BASE_URL=runloop.url, RUNLOOP_API_KEY=RUNLOOP_KEY) as assistant:
        started = assistant.call("tm_start_benchmark", benchmark="bmd_1", name="by hand")
        assert not started.is_error
        assert started.found["waited"] is False
        run_id = started.found["started_run_id"]
        runloop.drive(run_id, [0.9, 0.9])
        green = assistant.call("tm_wait_benchmark", run_id=run_id, min_score=0.8, **QUICKLY)
        assert not green.is_error
        assert green.found["verdict"] == "PASS"
        red = assistant.call("tm_wait_benchmark", run_id=run_id, min_score=0.95, **QUICKLY)
        assert red.is_error
        assert red.told.startswith("GATE NOT SATISFIED (FAIL)")


def test_a_benchmark_is_started_once_and_waited_for(runloop, speak):
    runloop.benchmark(scenarios=2)
    with speak(RUNLOOP_BASE_URL=runloop.url, RUNLOOP_API_KEY=RUNLOOP_KEY) as assistant:
        pending = assistant.begin(
            "tm_start_benchmark", benchmark="bmd_1", wait=True, min_score=0.8, **QUICKLY
        )
        assert pending.first_note.wait(20)
        (run_id,) = runloop.runs
        runloop.drive(run_id, [0.9, 0.3])
        answer = assistant.outcome(pending)
    assert answer.is_error
    assert answer.found["exit_name"] == "FAIL"
    assert answer.found["started_run_id"] == run_id
    assert len(runloop.runs) == 1


def test_the_job_gate_is_green_and_red(strait, speak):
    strait.add_job("export", LIVELY)
    strait.add_job("broken", FAILING)
    with speak(STRAIT_BASE_URL=strait.url, STRAIT_API_KEY=STRAIT_KEY) as assistant:
        green = assistant.call(
            "tm_start_job",
            job="export",
            wait=True,
            payload={"rows": 120},
            tags={"by": "assistant"},
            checks=["exported>=100"],
            **QUICKLY,
        )
        assert not green.is_error
        assert green.found["verdict"] == "PASS"
        red = assistant.call("tm_start_job", job="broken", wait=True, **QUICKLY)
        assert red.is_error
        assert red.told.startswith("GATE NOT SATISFIED (FAIL)")
        started = assistant.call("tm_start_job", job="export")
        assert started.found["waited"] is False
        waited = assistant.call(
            "tm_wait_job",
            run_id=started.found["started_run_id"],
            checks=["exported>500"],
            **QUICKLY,
        )
        assert waited.is_error
        assert waited.found["exit_name"] == "FAIL"
