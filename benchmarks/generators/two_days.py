"""The memory of a load generator after a long run, walked through without waiting.

    python two_days.py HOURS [STEPS]

The curve rests at night; with STEPS in eleven of twelve hours. Everything that grows with a run is
there: the slots, the plan, the recorder, the lines; only the connections are missing. With STEPS
every arrival plays so many. Prints megabytes and numbers, and after that, with STEPS, what
`two_days_server` prints, which is given all events.
"""

from gevent import monkey

monkey.patch_all()

import json  # noqa: E402
import logging  # noqa: E402
import resource  # noqa: E402
import subprocess  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402
from typing import IO  # noqa: E402

from gevent.event import Event  # noqa: E402

from tm_cli.server.engine.job import EngineJob  # noqa: E402
from tm_cli.server.engine.load_test import start_local_slots  # noqa: E402
from tm_cli.server.engine.played import Played, StepResult  # noqa: E402
from tm_cli.server.engine.recorder import EngineReport, Recorder  # noqa: E402
from tm_cli.server.engine.saturation import CpuPressure  # noqa: E402
from tm_cli.server.engine.schedule import BUCKET_SECONDS  # noqa: E402

_HOUR = 3600.0
_SLOTS = 256


def main(hours: int, steps: int) -> None:
    """Walk."""
    logging.getLogger("locust").setLevel(logging.ERROR)
    slots = start_local_slots(Event().wait, _SLOTS)
    rate, busy, cycle = (0.4, 1, 12) if steps else (8.0, 12, 24)
    points = [(hour * _HOUR, rate if hour % cycle < busy else 0.0) for hour in range(hours + 1)]
    job = EngineJob.parse(
        {
            "run_id": "benchmark",
            "target_url": "http://127.0.0.1:1/",
            "points": points,
            "duration": hours * _HOUR,
            "interpolation": "LINEAR",
        }
    )
    if not steps:
        megabytes, told, completed = walk(job, 0, None)
        print(json.dumps({"megabytes": megabytes, "requests": completed, "told": told}))
        return
    command = [sys.executable, "-m", "generators.two_days_server"]
    with subprocess.Popen(command, text=True, stdin=subprocess.PIPE) as server:
        print(job.to_line(), file=server.stdin)
        megabytes, told, completed = walk(job, steps, server.stdin)
        print(json.dumps({"megabytes": megabytes, "requests": completed, "told": told}), flush=True)
    del slots


def walk(job: EngineJob, steps: int, server: IO[str] | None) -> tuple[float, int, int]:
    """Megabytes, the size of all events, and the number of arrivals."""
    plan = job.plan
    recorder = Recorder(plan)
    pressure = CpuPressure(time.monotonic)
    report = EngineReport(
        job,
        plan,
        recorder,
        monotonic=time.monotonic,
        cpu_time=time.process_time,
        pressure=pressure,
    )
    told = 0

    def tell(event: str, **fields: object) -> int:
        line = json.dumps({"event": event, **fields})
        if server:
            print(line, file=server)
        return len(line)

    walked = 0.0
    for number, second in enumerate(plan.curve.arrivals()):
        while walked + BUCKET_SECONDS <= second:
            walked += BUCKET_SECONDS
            told += tell("progress", **report.progress(walked, is_paused=False))
            told += sum(tell(event, **fields) for event, fields in report.results(walked))
        plan.takes(number)
        bucket = recorder.claim(number, second)
        recorder.began(bucket, second, second)
        seconds = 0.001 * (1 + number % 500)
        result = Played(200, 0.0, [StepResult(f"/{n}", seconds, 200) for n in range(steps)])
        recorder.ended(bucket, second, second, second + seconds, result if steps else 200)
    told += sum(tell(e, **fields) for e, fields in report.results(job.duration, at_the_end=True))
    told += tell("finished", **report.finished("completed", job.duration))
    return (
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        told,
        recorder.completed,
    )


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0)
