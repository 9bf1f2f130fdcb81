"""Asks a worker what it plays for a job of another machine, whose master names paths."""

from gevent import monkey

monkey.patch_all()

import json  # noqa: E402
import sys  # noqa: E402

from tm_cli.server.engine.distributed.roles import WorkerRole  # noqa: E402
from tm_cli.server.engine.distributed.worker import Worker  # noqa: E402
from tm_cli.server.engine.job import EngineJob  # noqa: E402
from tm_cli.server.web.bodies import Refusal  # noqa: E402


def answer(role, job):
    try:
        changes = Worker(WorkerRole.model_validate(role))._allowed(EngineJob.parse(job))
    except Refusal as refusal:
        return str(refusal)
    return changes["locustfile"]["place"]


asked = json.loads(sys.argv[1])
sys.stdout.write(json.dumps([answer(*each) for each in asked]))
