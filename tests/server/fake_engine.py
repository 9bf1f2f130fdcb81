"""An engine without traffic: it follows the script that the target URL's query asks for.

- mode=quick    play the whole curve at once and finish (the default)
- mode=hold     send one bucket, then wait for commands
- mode=deaf     like hold, but ignore `stop`
- mode=crash    send one bucket, complain on standard error, exit with 3
- mode=fail     say `failed`
- mode=garbage  say something that is no event
- codes=200:90,503:10   responses per bucket; fails=ConnectionRefusedError:5
- ms=20                 response time of every request
- histogram=TEXT        sent instead of an encoded histogram
- swallow=100           so many responses are missing in the first bucket
- log=PATH              append every line received to this file
"""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from hdrh.histogram import HdrHistogram

WIDTH = 5


def counts(text):
    pairs = (item.split(":") for item in text.split(",") if item)
    return {name: int(count) for name, count in pairs}


class FakeEngine:
    def __init__(self):
        self.job = self.read()["job"]
        query = parse_qs(urlsplit(self.job["target_url"]).query)
        self.script = {name: values[-1] for name, values in query.items()}
        self.codes = counts(self.script.get("codes", "200:100"))
        self.fails = counts(self.script.get("fails", ""))
        self.per_bucket = sum(self.codes.values()) + sum(self.fails.values())
        self.log(json.dumps({"job": self.job}))

    def read(self):
        line = sys.stdin.readline()
        return json.loads(line) if line else None

    def log(self, text):
        if path := self.script.get("log"):
            with Path(path).open("a", encoding="utf-8") as file:
                file.write(text + "\n")

    def say(self, event, **values):
        sys.stdout.write(json.dumps({"event": event, **values}) + "\n")
        sys.stdout.flush()

    def histogram(self):
        histogram = HdrHistogram(1, 3_600_000_000, 3)
        histogram.record_value(int(float(self.script.get("ms", 20)) * 1000), self.per_bucket)
        return histogram.encode().decode()

    def bucket(self, index):
        ms = float(self.script.get("ms", 20))
        encoded = self.script.get("histogram") or self.histogram()
        swallowed = 0 if index else int(self.script.get("swallow", 0))
        self.say(
            "bucket",
            index=index,
            planned=self.per_bucket,
            sent=self.per_bucket,
            completed=self.per_bucket - swallowed,
            codes=self.codes,
            failures=self.fails,
            response=encoded,
            service=encoded,
            p50_ms=ms,
            p95_ms=ms,
            p99_ms=ms,
        )

    def progress(self, buckets):
        total = buckets * self.per_bucket
        self.say(
            "progress",
            elapsed=float(buckets * WIDTH),
            due=total,
            sent=total,
            completed=total,
            in_flight=0,
            backlog=0,
            slots=self.job["slots"],
            lag_p99_ms=0.5,
            cpu=0.1,
            **self.flags(),
        )

    def flags(self):
        names = ("generator_saturated", "downstream_saturated", "flaky_dispatch")
        return {name: name in self.script.get("flags", "") for name in names}

    def finish(self, outcome, buckets, elapsed):
        total = buckets * self.per_bucket
        self.say(
            "finished",
            outcome=outcome,
            elapsed=elapsed,
            planned=total,
            due=total,
            sent=total,
            completed=total,
            shortfall=0,
            **self.flags(),
        )

    def play(self):
        mode = self.script.get("mode", "quick")
        if mode == "fail":
            self.say("failed", message="the curve makes no sense")
            return 1
        self.say("started", at=datetime.now(UTC).isoformat().replace("+00:00", "Z"))
        if mode == "quick":
            return self.play_all()
        self.bucket(0)
        self.progress(1)
        if mode == "crash":
            sys.stderr.write("out of file descriptors\n")
            return 3
        if mode == "garbage":
            sys.stdout.write("hello\n")
            return 0
        return self.obey(mode)

    def play_all(self):
        buckets = int(-(-self.job["duration"] // WIDTH))
        for index in range(buckets):
            self.bucket(index)
        self.progress(buckets)
        self.finish("completed", buckets, self.job["duration"])
        return 0

    def obey(self, mode):
        while (message := self.read()) is not None:
            command = message["command"]
            self.log(json.dumps(message))
            if command == "stop" and mode != "deaf":
                self.finish("stopped", 1, 5.0)
                return 0
            if command in ("pause", "resume"):
                self.say(command + "d", elapsed=5.0)
        self.log("end of input")
        return 0


if __name__ == "__main__":
    sys.exit(FakeEngine().play())
