"""Plays one visitor of each class of a locustfile, and writes what they did: a process of its own,
because Locust replaces sockets and threads.
"""

from gevent import monkey

monkey.patch_all()

import json  # noqa: E402
import sys  # noqa: E402
from pathlib import Path  # noqa: E402

from tm_cli.runtime.locustfile import hash_of  # noqa: E402
from tm_cli.server.engine.job import EngineJob  # noqa: E402
from tm_cli.server.engine.locustfiles.visitors import Scenario, bound  # noqa: E402


def bounded(stats):
    """How much Locust keeps of many names, many errors and many seconds, and what it counted."""
    before = stats.total.num_requests
    for number in range(2000):
        stats.log_request("GET", f"/orders/{number}", 1, 1)
        stats.log_error("GET", "/orders", f"order {number}")
        stats.total.num_reqs_per_sec[number] += 1
    bound(stats)
    stats.log_request("GET", "/orders", 1, 1)
    kept = [stats.entries, stats.errors, stats.total.num_reqs_per_sec]
    return [stats.total.num_requests - before, *map(len, kept)]


def main():
    path = Path(sys.argv[1])
    place = {"path": str(path), "variables": {"TOKEN": "secret-value"}}
    reference = {"file": path.name, "sha256": hash_of(path.read_bytes()), "place": place}
    job = EngineJob.parse(
        {
            "run_id": "run",
            "target_url": "http://127.0.0.1:9/base/?query",
            "points": [[0, 1], [1, 1]],
            "duration": 1,
            "timeout": 0.3,
            "locustfile": {**reference, **json.loads(sys.argv[2])},
        }
    )
    scenario = Scenario(job, job.locustfile, lambda: None)
    scenario.begin()
    client = scenario.client(job, job.targets[0])
    classes, found = client._classes, {}
    for one in classes:
        client._classes, client._weights = [one], [1]
        played = client.send()
        steps = [[step.name, step.seconds, step.result] for step in played.steps]
        found[one.__name__] = [played.result, played.thinking, steps]
    kept = bounded(scenario.environment.stats)
    heard = sys.modules[path.stem].heard
    scenario.end()
    sys.stdout.write(json.dumps({"classes": found, "heard": heard, "bounded": kept}))


main()
