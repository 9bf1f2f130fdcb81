"""Servers, engines and workers are killed at random moments; what must hold all the same.

A round is two houses at the same time: one whose runs have one engine, one whose runs have a
master and two workers. A house is a data directory that lives through all its lives; a life is a
server with a few runs. In most lives an engine (or a worker) dies first and then the server; in the
last life of a round two engines die, while another run goes on to its end.
"""

import random
import time
from concurrent.futures import ThreadPoolExecutor

from tests.unit.server.counting_target import CountingTarget
from tests.unit.server.killable_server import KillableServer
from tests.unit.server.run_records import RunRecords
from tests.unit.server.running_server import body, eventually
from tests.unit.server.victims import AT_ONCE, DURATION, NOTICED, RATE, Victim, check_end

SERVER_DEATHS = 4
KILLS_IN_ROUND = 2 * (2 * SERVER_DEATHS + 2)
LATEST = 7.5  # an engine that dies later may have done its work
PATIENCE = 60.0  # with a busy machine


class House:
    """One data directory and all that happens to it."""

    def __init__(self, home, target, *, workers):
        home.mkdir()
        self.kills = 0
        self._server = KillableServer(home, slots=256 if workers == 1 else 901)
        self._workers = workers
        self._target = target
        self._path = f"/{workers}"
        self._records = RunRecords(self._server.data_dir / "tm.db")
        self._profiles = {}
        self._victims = []

    def play_round(self, seed, latest, deaths):
        """All the lives of a round; servers die up to `latest` seconds after a first request."""
        chance = random.Random(f"{seed} with {self._workers}")
        for _ in range(deaths):
            self.lose_server(chance, latest)
        self.lose_engines(chance)

    def lose_server(self, chance, latest):
        """An engine dies, then the server, while two engines or workers are there."""
        self._begin()
        first, *_ = [self._start(name) for name in ("first", "second")[: 2 // self._workers]]
        wait, is_early = 1.0, chance.random() < 0.5
        if not is_early:
            eventually(lambda: self._has_sent(first), patience=PATIENCE)
            wait = latest
        now = time.monotonic()
        end = now + chance.uniform(0, wait)
        self._lose_engine(first, min(chance.uniform(now, end), now + LATEST), chance)
        sleep_until(end)
        died_at = self._kill_server(chance)
        eventually(lambda: not self._server.strays(), patience=NOTICED)
        self._server.start()
        self._check(chance, died_at)

    def lose_engines(self, chance):
        """Two runs lose an engine, and a third one must not care."""
        self._begin()
        _, *doomed = [self._start(name) for name in ("steady", "first", "second")]
        now = time.monotonic()
        moments = sorted((now + chance.uniform(0, LATEST), position) for position in (0, 1))
        for moment, position in moments:
            self._lose_engine(doomed[position], moment, chance)
        eventually(self._all_are_over, patience=PATIENCE)
        eventually(lambda: not self._server.engines())
        self._check(chance, died_at=None)

    @property
    def complaints(self):
        """What its servers have complained about."""
        return self._server.complaints

    def close(self):
        """Leave nothing behind."""
        self._server.stop()

    def _begin(self):
        self._victims = []
        if not self._server.is_alive:
            self._server.start()

    def _start(self, name):
        """Start a run and wait until its engines are there."""
        before = self._server.engines()
        victim = self._begin_run(name)
        self._victims.append(victim)
        count = 1 if self._workers == 1 else 1 + self._workers
        found = self._server.wait_for_engines(before, count)
        victim.engines = sorted(found, key=lambda engine: engine.create_time())
        return victim

    def _begin_run(self, name):
        profile_id = self._profiles.get(name) or self._save(name)
        started_at = time.monotonic()
        return Victim(name, self._server.api.start(profile_id), started_at)

    def _save(self, name):
        rate = RATE * self._workers
        if name == AT_ONCE:
            changes = {"script": "mode=quick"}  # such an engine tells of 20 requests per second
        else:
            changes = {"targetUrl": self._target.url(self._path), "duration": DURATION}
        points = [{"x": 0, "y": rate}, {"x": DURATION, "y": rate}]
        profile = body(name, httpMethod="GET", points=points, **changes)
        self._profiles[name] = self._server.api.post("/profiles", json=profile).json()["id"]
        return self._profiles[name]

    def _lose_engine(self, victim, moment, chance):
        sleep_until(moment)
        victim.lose_engine(chance)
        self.kills += 1

    def _kill_server(self, chance):
        """Kill it, often while a run comes to its end; return when."""
        way = chance.choice(("at any time", "about now", "with its row"))
        if way == "at any time":
            return self._kill_server_now()
        with self._server.at_once():
            run = self._begin_run(AT_ONCE)
            self._victims.append(run)
            if way == "with its row":
                eventually(lambda: run.run_id in self._rows())
            time.sleep(chance.uniform(0, 0.3 if way == "about now" else 0.01))
            return self._kill_server_now()

    def _kill_server_now(self):
        died_at = time.monotonic()
        self._server.kill()
        self.kills += 1
        return died_at

    def _has_sent(self, victim):
        return self._server.api.status(self._profiles[victim.name])["requestsSent"]

    def _rows(self):
        return {row["runId"]: row for row in self._server.api.rows(size=100)}

    def _all_are_over(self):
        rows = self._rows()
        found = [rows.get(victim.run_id) for victim in self._victims]
        return all(row and (row["outcome"] != "COMPLETED" or row["autoVerdict"]) for row in found)

    def _check(self, chance, died_at):
        """Everything that must hold, now that nothing is in progress."""
        self._check_next_run()
        self._records.check(self._server.api, chance)
        for victim in self._victims:
            detail = self._records.detail(victim.run_id)
            assert detail, f"{victim} is lost"
            check_end(victim, detail, self._workers, died_at)
        played = [d for d in self._records.details() if d["profileName"] != AT_ONCE]
        assert sum(d["totalRequests"] for d in played) <= self._target.served[self._path]

    def _check_next_run(self):
        """A run without traffic is played and judged as ever."""
        with self._server.at_once():
            run_id = self._begin_run(AT_ONCE).run_id
            detail = self._server.api.judged(run_id)
        before = [
            row
            for row in self._records.details()
            if row["profileName"] == AT_ONCE and row["autoVerdict"] == "PASS"
        ]
        assert detail["outcome"] == "COMPLETED"
        assert detail["autoVerdict"] in ({"PASS"} if before else {"PASS", "NO_BASELINE"}), detail


def sleep_until(moment):
    time.sleep(max(0.0, moment - time.monotonic()))


def play(directory, seeds, *, latest, deaths=SERVER_DEATHS):
    """Play a round for each seed; return the number of kills. A failure names its seed."""
    with CountingTarget() as target:
        houses = [House(directory / str(n), target, workers=n) for n in (1, 2)]
        try:
            for seed in seeds:
                _play_round(houses, seed, latest, deaths)
        finally:
            for house in houses:
                house.close()
    return sum(house.kills for house in houses)


def _play_round(houses, seed, latest, deaths):
    with ThreadPoolExecutor(len(houses)) as pool:
        rounds = [pool.submit(house.play_round, seed, latest, deaths) for house in houses]
    for house, played in zip(houses, rounds, strict=True):
        if error := played.exception():
            error.add_note(house.complaints)
            error.add_note(f"TM_FAULT_SEED={seed} draws the same moments")
            raise error
