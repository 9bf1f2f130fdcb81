"""More slots than one engine holds: several engines on the server's own machine."""

import asyncio
import json
import sys

import pytest

from tests.unit.server.running_server import Api
from tm_cli.server.workers.local_worker import EngineProcess

pytestmark = pytest.mark.process


def test_a_run_with_many_slots_is_played_by_several_engines(start_server, tmp_path):
    log = tmp_path / "log"
    with start_server(slots=1801).client() as client:
        api = Api(client)
        detail = api.judged(api.start(api.save(script=f"codes=200:30,503:3&log={log}")))
    jobs = [json.loads(line)["job"] for line in log.read_text().splitlines() if '"job"' in line]
    assert sorted(job["slots"] for job in jobs) == [600, 600, 601]
    assert sorted(job["share"]["index"] for job in jobs) == [0, 1, 2]
    assert (detail["region"], detail["outcome"]) == ("local", "COMPLETED")
    assert json.loads(detail["responseCodes"]) == {"200": 360, "503": 36}


def test_without_many_slots_one_engine_plays_alone(start_server, tmp_path):
    log = tmp_path / "log"
    with start_server(slots=900).client() as client:
        api = Api(client)
        api.judged(api.start(api.save(script=f"log={log}")))
    (job,) = [json.loads(line)["job"] for line in log.read_text().splitlines() if '"job"' in line]
    assert job["slots"] == 900
    assert job["hold"] is False


def test_a_long_line_of_the_log_holds_nothing_up():
    code = "import sys; sys.stderr.write('x' * 3_000_000 + chr(10) + 'the end')"

    async def played():
        engine = await EngineProcess.start([sys.executable, "-c", code], "{}")
        return await engine.close(), engine.last_error

    assert asyncio.run(played()) == (0, "the end")
