"""An engine without traffic: it follows the script that the target URL's query asks for.

- mode=quick    play the whole curve at once and finish (the default)
- mode=hold     send one bucket, then wait for commands
- mode=deaf     like hold, but ignore `stop`
- mode=live     send a bucket now and then, until the curve ends or is told to `finish`
- mode=hang     like live, but take no notice of `finish`
- mode=crash    send one bucket, complain on standard error, exit with 3
- mode=fail     say `failed`
- mode=garbage  say something that is no event
- mode=say      send one bucket, then say the text of `line`, and finish
- codes=200:90,503:10   responses per bucket; fails=ConnectionRefusedError:5
- addresses=10.0.0.1:60,10.0.0.2:40   requests by address in all
- ms=20                 response time of every request; ms=300,20 of those of the first bucket and
                        of all others
- first_codes=500:100   responses in the first bucket
- flags=flaky_dispatch  signs of saturation, all the time; first_flags: in the first bucket
- pressure=0.3          share of the time that tasks waited for a CPU
- histogram=TEXT        sent instead of an encoded histogram
- steps=login:20,/cart:30   response times in ms of the steps of every arrival; bad_steps=/cart:5
                        so many of each step in a bucket end with status 500
- lost_steps=1          so many steps are counted that nothing is told of
- swallow=100           so many responses are missing in the first bucket
- log=PATH              append every line received to this file
- pids=PATH             append the process id to this file
- worker=crash  a worker complains on standard error and exits once it has its job

A value that begins with @ is the content of that file, so that runs of one target can differ.
With `against` in its job it plays a duet; `ms`, `codes` and `addresses` of the other target's query
are those of the other side. With `hold` in its job it says `ready` and waits for `go`.

As the master of a run it listens, gives each worker that connects its job, and plays for all of
them once each has connected or is `gone`. As a worker it does nothing but stay connected.
"""

import json
import os
import queue
import socket
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from hdrh.histogram import HdrHistogram

BUCKET_SECONDS = 5
PATIENCE = 1.0
"""Seconds in which a command may follow a bucket that may decide the run."""


def counts(text):
    pairs = (item.split(":") for item in text.split(",") if item)
    return {name: int(count) for name, count in pairs}


def script_of(url):
    query = parse_qs(urlsplit(url).query)
    return {name: read(values[-1]) for name, values in query.items()}


def read(value):
    return Path(value[1:]).read_text(encoding="utf-8") if value.startswith("@") else value


class FakeEngine:
    def __init__(self):
        self.lines = queue.Queue()
        self.workers = []
        self.gone = {}
        self.connections = []
        self.scale = 1
        self.script = {}
        threading.Thread(target=self.listen, daemon=True).start()
        first = self.read() or {}
        if "worker" in first:
            self.stay_connected(first["worker"])
        if "master" in first:
            self.workers = first["master"]["workers"]
            first = {"job": self.whole_job(first["master"])}
        self.job = first["job"]
        self.script = script_of(self.job["target_url"])
        self.scripts = [self.script]
        if against := self.job.get("against"):
            self.scripts.append(script_of(against["target_url"]))
        self.codes = counts(self.script.get("codes", "200:100"))
        self.fails = counts(self.script.get("fails", ""))
        self.per_bucket = sum(self.codes.values()) + sum(self.fails.values())
        self.steps = 0
        if not self.workers:
            self.log_job(self.job)

    def listen(self):
        """Take in what comes on standard input; the server tells a master who is gone."""
        while line := sys.stdin.readline():
            message = json.loads(line)
            if message.get("command") == "gone":
                self.lose(message["worker"], message["reason"])
            else:
                self.lines.put(message)
        self.lines.put(None)

    def read(self):
        return self.lines.get()

    def log_job(self, job):
        self.script = script_of(job["target_url"])
        self.log(json.dumps({"job": job}))
        if path := self.script.get("pids"):
            with Path(path).open("a", encoding="utf-8") as file:
                file.write(f"{os.getpid()}\n")

    def whole_job(self, master):
        listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self.accept, args=(listener, master), daemon=True).start()
        self.say("listening", port=listener.getsockname()[1])
        return master["job"]

    def accept(self, listener, master):
        count = len(self.workers)
        each, more = divmod(master["senders"], count)
        while True:
            connection, _ = listener.accept()
            index = len(self.connections)
            share, slots = {"index": index, "count": count}, each + (index < more)
            job = {**master["job"], "share": share, "slots": slots}
            connection.sendall(json.dumps(job).encode() + b"\n")
            self.connections.append(connection)

    def lose(self, worker, reason):
        if worker not in self.gone:
            self.gone[worker] = reason
            self.log(json.dumps({"gone": worker, "reason": reason}))
            self.say("note", text=f"worker {worker} is gone: {reason}")

    def wait_for_workers(self):
        """How many take part."""
        while len(self.connections) + len(self.gone) < len(self.workers):
            time.sleep(0.01)
        return len(self.connections)

    def stay_connected(self, worker):
        connection = socket.create_connection((worker["host"], worker["port"]))
        connection.sendall(worker["name"].encode() + b"\n")  # a worker speaks first
        with connection.makefile() as lines:
            job = lines.readline()
            if job:
                self.log_job(json.loads(job))
                self.log(json.dumps({"worker": worker}))
            if self.script.get("worker") == "crash":
                sys.stderr.write("out of file descriptors\n")
                sys.stderr.flush()
                os._exit(3)
            threading.Thread(target=lambda: (lines.read(), os._exit(0)), daemon=True).start()
            self.read()
        os._exit(0)

    def log(self, text):
        if path := self.script.get("log"):
            with Path(path).open("a", encoding="utf-8") as file:
                file.write(text + "\n")

    def say(self, event, **values):
        sys.stdout.write(json.dumps({"event": event, **values}) + "\n")
        sys.stdout.flush()

    def histogram(self, ms, count):
        histogram = HdrHistogram(1, 3_600_000_000, 3)
        histogram.record_value(int(ms * 1000), count)
        return histogram.encode().decode()

    def bucket(self, index, part=1.0):
        for side, script in enumerate(self.scripts):
            self.bucket_of(index, side, script, part)

    def bucket_of(self, index, side, script, part):
        by_bucket = script.get("ms", "20").split(",")
        ms = float(by_bucket[min(index, len(by_bucket) - 1)])
        codes = script.get("codes", "200:100")
        codes = counts(codes if index else script.get("first_codes", codes))
        fails = counts(script.get("fails", ""))
        sent = int(self.per_bucket * part)
        encoded = self.script.get("histogram") or self.histogram(ms, sent)
        self.say_steps(index, side, script, sent)
        swallowed = 0 if index else int(self.script.get("swallow", 0))
        self.say(
            "bucket",
            index=index,
            side=side,
            planned=sent,
            sent=sent,
            completed=sent - swallowed,
            codes={code: int(count * part) * self.scale for code, count in codes.items()},
            failures={name: count * self.scale for name, count in fails.items()},
            response=encoded,
            service=encoded,
            p50_ms=ms,
            p95_ms=ms,
            p99_ms=ms,
        )

    def say_steps(self, index, side, script, count):
        bad = counts(script.get("bad_steps", ""))
        for text in filter(None, script.get("steps", "").split(",")):
            name, ms = text.rsplit(":", 1)
            wrong = bad.get(name, 0)
            step = {
                "completed": count,
                "codes": {"200": count - wrong, "500": wrong},
                "failures": {},
                "response": self.histogram(float(ms), count),
            }
            self.steps += count
            self.say("steps", index=index, side=side, steps={name: step})

    def progress(self, buckets):
        total = buckets * self.per_bucket * len(self.scripts)
        self.say(
            "progress",
            elapsed=float(buckets * BUCKET_SECONDS),
            due=total,
            sent=total,
            completed=total,
            in_flight=0,
            backlog=0,
            slots=self.job["slots"],
            lag_p99_ms=0.5,
            cpu=0.1,
            **self.flags(is_first=buckets == 1),
        )

    def flags(self, *, is_first):
        names = ("generator_saturated", "downstream_saturated", "flaky_dispatch")
        told = [self.script.get("flags", ""), self.script.get("first_flags", "") * is_first]
        return {name: any(name in text for text in told) for name in names}

    def finish(self, outcome, buckets, elapsed):
        total = round(buckets * self.per_bucket) * len(self.scripts)
        for side, script in enumerate(self.scripts):
            if told := counts(script.get("addresses", "")):
                self.say("addresses", side=side, requests=told)
        pressure = self.script.get("pressure")
        self.say(
            "finished",
            outcome=outcome,
            elapsed=elapsed,
            planned=total,
            due=total,
            sent=total,
            completed=total,
            shortfall=0,
            steps=self.steps + int(self.script.get("lost_steps", 0)),
            **self.flags(is_first=True),
            **({"cpu_pressure": float(pressure)} if pressure else {}),
        )

    def play(self):
        mode = self.script.get("mode", "quick")
        if self.workers and not self.play_for(self.wait_for_workers()):
            return 1
        if mode == "fail":
            self.say("failed", message="the curve makes no sense")
            return 1
        if self.job.get("hold") and not self.wait_for_go():
            self.finish("stopped", 0, 0.0)
            return 0
        self.say("started", at=datetime.now(UTC).isoformat().replace("+00:00", "Z"))
        if mode == "quick":
            return self.play_all()
        if mode in ("live", "hang"):
            return self.play_live(mode)
        self.bucket(0)
        self.progress(1)
        if mode == "crash":
            sys.stderr.write("out of file descriptors\n")
            return 3
        if mode == "garbage":
            sys.stdout.write("hello\n")
            return 0
        if mode == "say":
            sys.stdout.write(self.script["line"] + "\n")
            self.finish("completed", 1, self.job["duration"])
            return 0
        return self.obey(mode)

    def play_for(self, workers):
        """Take the part of so many workers."""
        if not workers:
            reason = list(self.gone.values())[-1]
            self.say("failed", message=f"no worker took part: {reason}")
            return False
        self.per_bucket *= workers
        self.scale = workers
        return True

    def wait_for_go(self):
        self.say("ready")
        while (message := self.read()) is not None:
            self.log(json.dumps(message))
            if message["command"] == "go":
                return True
            if message["command"] == "stop":
                return False
        return False

    def play_all(self):
        buckets = int(-(-self.job["duration"] // BUCKET_SECONDS))
        for index in range(buckets):
            self.bucket(index)
        self.progress(buckets)
        self.finish("completed", buckets, self.job["duration"])
        return 0

    def play_live(self, mode):
        end, index = self.job["duration"], 0
        while index * BUCKET_SECONDS < end:
            self.bucket(index, min(1.0, round(end / BUCKET_SECONDS - index, 6)))
            self.progress(index + 1)
            index += 1
            try:
                message = self.lines.get(timeout=PATIENCE if index >= 3 else 0.01)
            except queue.Empty:
                continue
            if message is None:
                break
            self.log(json.dumps(message))
            if message["command"] == "stop":
                break
            if message["command"] == "finish" and mode == "live":
                end = message["at"]
        else:
            self.finish("completed", end / BUCKET_SECONDS, end)
            return 0
        self.finish("stopped", index, index * BUCKET_SECONDS)
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
