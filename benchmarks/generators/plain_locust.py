"""Locust as most people use it: users of FastHttpUser in a closed loop. Prints one JSON object.

python plain_locust.py most URL SECONDS USERS         as fast as they can
python plain_locust.py shape URL SECONDS POINTS       as many users as the curve says, 1/s each
python plain_locust.py closed URL SECONDS USERS RATE  RATE requests per second for each user
"""

from gevent import monkey

monkey.patch_all()

import json  # noqa: E402
import logging  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402
from typing import Any  # noqa: E402

import gevent  # noqa: E402
from locust import FastHttpUser, LoadTestShape, constant_throughput, task  # noqa: E402
from locust.env import Environment  # noqa: E402

from tm_cli.values.load.curve import Curve  # noqa: E402


class Visitor(FastHttpUser):  # type: ignore[misc]  # locust is untyped here
    """Asks for the same page again and again."""

    abstract = True

    @task  # type: ignore[untyped-decorator]
    def visit(self) -> None:
        """One request."""
        self.client.get("/")


def most(url: str, seconds: float, users: int) -> dict[str, Any]:
    """Requests per processor second of so many users without a wait, once all are there."""

    class Hurried(Visitor):
        pass

    environment = Environment(user_classes=[Hurried], host=url)
    runner = environment.create_local_runner()
    runner.start(users, spawn_rate=users)
    gevent.sleep(1)
    before, since = environment.stats.total.num_requests, time.process_time()
    gevent.sleep(seconds)
    count = environment.stats.total.num_requests - before
    rate = count / (time.process_time() - since)
    runner.quit()
    return {"rate": rate}


def shape(url: str, seconds: float, points: list[tuple[float, float]]) -> dict[str, Any]:
    """The usual recipe for a rate: one request per second and user."""
    curve = Curve(points, seconds, "LINEAR")

    class Steady(Visitor):
        wait_time = constant_throughput(1)

    class Shape(LoadTestShape):  # type: ignore[misc]
        def tick(self) -> tuple[int, float] | None:
            if self.get_run_time() >= seconds:
                return None
            return round(curve.rate(self.get_run_time())), 1000

    environment = Environment(user_classes=[Steady], host=url, shape_class=Shape())
    runner = environment.create_local_runner()
    started = time.time()
    runner.start_shape()
    gevent.sleep(seconds)
    runner.quit()
    return {"started": started}


def closed(url: str, seconds: float, users: int, rate: float) -> dict[str, Any]:
    """The response times, in seconds, that so many users see."""
    seen: list[float] = []

    class Closed(Visitor):
        wait_time = constant_throughput(rate)

    environment = Environment(user_classes=[Closed], host=url)
    environment.events.request.add_listener(
        lambda response_time, **_: seen.append(response_time / 1000)
    )
    runner = environment.create_local_runner()
    runner.start(users, spawn_rate=users)
    gevent.sleep(seconds)
    runner.quit()
    return {"seconds": seen}


def main(mode: str, url: str, seconds: str, *rest: str) -> None:
    """Run one of the modes."""
    logging.getLogger("locust").setLevel(logging.ERROR)
    url = url.rstrip("/")  # it would ask for //
    if mode == "most":
        result = most(url, float(seconds), int(rest[0]))
    elif mode == "shape":
        result = shape(url, float(seconds), json.loads(rest[0]))
    else:
        result = closed(url, float(seconds), int(rest[0]), float(rest[1]))
    print(json.dumps(result))


if __name__ == "__main__":
    main(*sys.argv[1:])
