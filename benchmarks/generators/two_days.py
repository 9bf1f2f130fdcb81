"""The engine's memory after a long run, walked through without waiting. Prints megabytes.

    python two_days.py HOURS

The curve rests at night. Everything that grows with a run is there: the slots, the plan, the
recorder, the lines; only the connections are missing.
"""

from gevent import monkey

monkey.patch_all()

import json  # noqa: E402
import logging  # noqa: E402
import resource  # noqa: E402
import sys  # noqa: E402

from gevent.event import Event  # noqa: E402

from tm_cli.server.engine.load_test import start_local_slots  # noqa: E402
from tm_cli.server.engine.recorder import Recorder  # noqa: E402
from tm_cli.server.engine.schedule import BUCKET_SECONDS, RequestPlan  # noqa: E402
from tm_cli.values.load_curve import Curve  # noqa: E402

_HOUR = 3600.0


def main(hours: int) -> None:
    """Walk."""
    logging.getLogger("locust").setLevel(logging.ERROR)
    slots = start_local_slots(Event().wait, 256)
    points = [(hour * _HOUR, 8.0 if hour % 24 < 12 else 0.0) for hour in range(hours + 1)]
    curve = Curve(points, hours * _HOUR, "LINEAR")
    plan = RequestPlan(curve)
    recorder = Recorder(plan)
    told = 0
    walked = 0.0
    for number, second in enumerate(curve.arrivals()):
        while walked + BUCKET_SECONDS <= second:
            walked += BUCKET_SECONDS
            told += sum(len(json.dumps(bucket.document())) for bucket in recorder.changed(walked))
        plan.takes(number)
        bucket = recorder.claim(number, second)
        recorder.began(bucket, second, second)
        recorder.ended(bucket, second, second, second + 0.001 * (1 + number % 500), 200)
        if number % 100 == 0:
            recorder.take_window()
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    del slots
    print(json.dumps({"megabytes": megabytes, "requests": recorder.completed, "told": told}))


if __name__ == "__main__":
    main(int(sys.argv[1]))
