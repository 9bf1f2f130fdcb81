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
- swallow=100           so many responses are missing in the first bucket
- log=PATH              append every line received to this file
- pids=PATH             append the process id to this file

A value that begins with @ is the content of that file, so that runs of one target can differ.
- worker=crash  each worker of a master complains on standard error and exits once it has connected

With `against` in its job it plays a duet; `ms`, `codes` and `addresses` of the other target's query
are those of the other side. With `hold` in its job it says `ready` and waits for `go`.

As a master it waits until each worker has connected or is `gone`, and then plays alone; its workers
are connected until its end.
"""

import json
import os
import queue
import socket
import sys
import threading
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
    def __init__(self, job):
        self.job = job
        self.script = script_of(self.job["target_url"])
        self.scripts = [self.script]
        if against := self.job.get("against"):
            self.scripts.append(script_of(against["target_url"]))
        self.codes = counts(self.script.get("codes", "200:100"))
        self.fails = counts(self.script.get("fails", ""))
        self.per_bucket = sum(self.codes.values()) + sum(self.fails.values())
        self.log(json.dumps({"job": self.job}))
        if path := self.script.get("pids"):
            with Path(path).open("a", encoding="utf-8") as file:
                file.write(f"{os.getpid()}\n")

    def read(self):
        while line := sys.stdin.readline():
            message = json.loads(line)
            if message.get("command") != "alive":
                return message
        return None

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
        sent = int(self.per_bucket * part)
        encoded = self.script.get("histogram") or self.histogram(ms, sent)
        swallowed = 0 if index else int(self.script.get("swallow", 0))
        self.say(
            "bucket",
            index=index,
            side=side,
            planned=sent,
            sent=sent,
            completed=sent - swallowed,
            codes={code: int(count * part) for code, count in codes.items()},
            failures=counts(script.get("fails", "")),
            response=encoded,
            service=encoded,
            p50_ms=ms,
            p95_ms=ms,
            p99_ms=ms,
        )

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
            **self.flags(is_first=True),
            **({"cpu_pressure": float(pressure)} if pressure else {}),
        )

    def play(self):
        mode = self.script.get("mode", "quick")
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
        commands = queue.Queue()
        threading.Thread(target=lambda: self.listen(commands), daemon=True).start()
        end, index = self.job["duration"], 0
        while index * BUCKET_SECONDS < end:
            self.bucket(index, min(1.0, round(end / BUCKET_SECONDS - index, 6)))
            self.progress(index + 1)
            index += 1
            try:
                message = commands.get(timeout=PATIENCE if index >= 3 else 0.01)
            except queue.Empty:
                continue
            if message["command"] == "stop":
                break
            if message["command"] == "finish" and mode == "live":
                end = message["at"]
        else:
            self.finish("completed", end / BUCKET_SECONDS, end)
            return 0
        self.finish("stopped", index, index * BUCKET_SECONDS)
        return 0

    def listen(self, commands):
        while (message := self.read()) is not None:
            self.log(json.dumps(message))
            commands.put(message)
        os._exit(0)

    def obey(self, mode):
        while (message := self.read()) is not None:
            command = message["command"]
            self.log(json.dumps(message))
            if command == "stop" and mode != "deaf":
                self.finish("stopped", 1, 5.0)
                return 0
            if command in ("pause", "resume"):
                self.say(command + "d", elapsed=5.0)
            if command == "gone":
                self.say("note", text=f"{message['worker']} is gone: {message['reason']}")
        self.log("end of input")
        return 0


class FakeMaster(FakeEngine):
    def __init__(self, role):
        super().__init__(role["job"])
        self.inbox = queue.Queue()
        self.connections = []
        self.missing = set(role["workers"])
        listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self.accept, args=(listener,), daemon=True).start()
        threading.Thread(target=self.take_orders, daemon=True).start()
        self.say("listening", port=listener.getsockname()[1])

    def accept(self, listener):
        while True:
            connection, _ = listener.accept()
            self.connections.append(connection)
            name = connection.makefile().readline().strip()
            connection.sendall(json.dumps(self.script).encode() + b"\n")
            self.inbox.put({"joined": name})

    def take_orders(self):
        while (message := super().read()) is not None:
            self.inbox.put(message)
        self.inbox.put(None)

    def read(self):
        message = self.inbox.get()
        return self.read() if message and "joined" in message else message

    def play(self):
        while self.missing:
            message = self.inbox.get()
            if message is None:
                return 0
            self.log(json.dumps(message))
            if message.get("command") == "stop":
                self.finish("stopped", 0, 0.0)
                return 0
            if message.get("command") == "gone":
                self.missing.discard(message["worker"])
                self.say("note", text=f"{message['worker']} is gone: {message['reason']}")
            self.missing.discard(message.get("joined"))
        return super().play()


class FakeWorker:
    """Connects, says its name, and ends with its connection or its input."""

    def __init__(self, role):
        self.role = role
        threading.Thread(target=self.watch_input, daemon=True).start()

    def watch_input(self):
        while sys.stdin.readline():
            pass
        os._exit(0)

    def play(self):
        connection = socket.create_connection((self.role["host"], self.role["port"]))
        connection.sendall(self.role["name"].encode() + b"\n")
        lines = connection.makefile()
        script = json.loads(lines.readline())
        if path := script.get("log"):
            with Path(path).open("a", encoding="utf-8") as file:
                file.write(json.dumps({"worker": self.role}) + "\n")
        if path := script.get("pids"):
            with Path(path).open("a", encoding="utf-8") as file:
                file.write(f"{os.getpid()}\n")
        if script.get("worker") == "crash":
            sys.stderr.write("out of file descriptors\n")
            return 3
        while lines.readline():
            pass
        return 0


def main():
    ((role, details),) = json.loads(sys.stdin.readline()).items()
    return {"job": FakeEngine, "master": FakeMaster, "worker": FakeWorker}[role](details).play()


if __name__ == "__main__":
    sys.exit(main())
