"""Prints what a worker on another machine makes of jobs: what it changes in each, or why not.

judge_jobs.py ROLE JOBS
"""

from gevent import monkey

monkey.patch_all()

import json  # noqa: E402
import sys  # noqa: E402

from tm_cli.server.engine.distributed.roles import WorkerRole  # noqa: E402
from tm_cli.server.engine.distributed.worker import Worker  # noqa: E402
from tm_cli.server.engine.job import EngineJob  # noqa: E402
from tm_cli.server.web.bodies import Refusal  # noqa: E402


def judged(worker, job):
    try:
        return worker._allowed(EngineJob.parse(job))
    except Refusal as refusal:
        return str(refusal)


def main(role, jobs):
    worker = Worker(WorkerRole.model_validate_json(role))
    sys.stdout.write(json.dumps([judged(worker, job) for job in json.loads(jobs)]))


if __name__ == "__main__":
    main(*sys.argv[1:])
