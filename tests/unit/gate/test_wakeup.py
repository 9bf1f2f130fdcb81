"""News of a run makes the next look come sooner, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tm_cli.errors import TmError
from tm_cli.gate.backend import Backend
from tm_cli.gate.lifecycle import Follow
from tm_cli.gate.model import Phase, Progress, Result, Run
from tm_cli.gate.policy import Gate
from tm_cli.gate.polling import PollingPolicy
from tm_cli.gate.scheduler import Wakeup, drive
from tm_cli.values.verdict import Verdict

GATE = Gate(frozenset({Verdict.FAIL}), polling=PollingPolicy(interval=60.0), wait_timeout=600.0)


class Announced(Backend):
    """A run that ends after `duration`, heard of at some times; seconds of the test's clock."""

    def __init__(self, clock, duration, heard=(), problem=None):
        self._clock, self._began, self._duration = clock, clock.seconds, duration
        self.heard, self.looks, self._problem = list(heard), [], problem
        self._ring = None

    def notify_on_change(self, ring):
        self._ring = ring
        return True

    def ring_what_is_due(self):
        played = self._clock.seconds - self._began
        due = [at for at in self.heard if at <= played]
        self.heard = [at for at in self.heard if at > played]
        for _ in due:
            self._ring()

    def start(self):
        return Run("r", "subject", "queued", self._clock.now())

    def observe(self, run):
        played = self._clock.seconds - self._began
        self.looks.append(played)
        if self._problem is not None and len(self.looks) == 1:
            raise self._problem
        phase = Phase.ENDED if played >= self._duration else Phase.ACTIVE
        return Progress(phase, "", is_ours=True)

    def retry_pause(self, error):
        return 40.0

    def find_result(self, run):
        return Result("r", Verdict.PASS, "PASS")

    def stop(self, run):
        pass


@pytest.fixture
def ringing(clock):
    """A clock whose pauses are cut short when one of the systems hears something."""
    systems = []

    def wait(event, seconds):
        until = clock.seconds + seconds
        while clock.seconds < until and not event.is_set():
            clock.sleep(min(0.5, until - clock.seconds))
            for system in systems:
                system.ring_what_is_due()
        return event.is_set()

    clock.wait = wait
    return systems


def follow(clock, *systems):
    return list(drive([Follow(system, GATE, clock) for system in systems], GATE, clock))


def test_without_news_the_pace_is_kept(clock, ringing):
    system = Announced(clock, 100.0)
    ringing.append(system)
    follow(clock, system)
    assert system.looks == [0.0, 60.0, 120.0]


def test_news_makes_the_next_look_immediate(clock, ringing):
    system = Announced(clock, 10.0, heard=[10.0])
    ringing.append(system)
    follow(clock, system)
    assert system.looks == [0.0, 10.0]


def test_news_decides_nothing(clock, ringing):
    system = Announced(clock, 50.0, heard=[10.0])
    ringing.append(system)
    follow(clock, system)
    assert system.looks == [0.0, 10.0, 70.0]


def test_much_news_is_one_look_a_second(clock, ringing):
    system = Announced(clock, 9.0, heard=[n / 10 for n in range(1, 100)])
    ringing.append(system)
    follow(clock, system)
    assert len(system.looks) <= 11


def test_first_news_is_not_held_back(clock, ringing):
    system = Announced(clock, 1.0, heard=[0.5, 1.0])
    ringing.append(system)
    follow(clock, system)
    assert system.looks == [0.0, 0.5, 1.0]


def test_first_news_of_several_runs_keeps_to_their_budget(clock, ringing):
    gate = replace(GATE, polling=PollingPolicy(interval=60.0, budget_interval=5.0))
    system = Announced(clock, 1.0, heard=[0.5, 1.0])
    ringing.append(system)
    list(drive([Follow(system, gate, clock)], gate, clock))
    assert system.looks == [0.0, 1.0]


def test_news_does_not_cut_short_what_the_server_asked_for(clock, ringing):
    system = Announced(clock, 10.0, heard=[2.0, 5.0], problem=TmError("busy"))
    ringing.append(system)
    follow(clock, system)
    assert system.looks == [0.0, 40.0]


def test_news_of_one_run_leaves_the_others_alone(clock, ringing):
    quiet, loud = Announced(clock, 100.0), Announced(clock, 10.0, heard=[10.0])
    ringing += [quiet, loud]
    follow(clock, quiet, loud)
    assert loud.looks == [0.0, 10.0]
    assert quiet.looks == [0.0, 60.0, 120.0]


def test_news_that_nobody_waits_for_is_kept(clock):
    wakeup = Wakeup()
    wakeup.set(3)
    assert wakeup.wait(60.0, clock)
    assert wakeup.drain() == {3}
    assert wakeup.drain() == frozenset()
    assert clock.slept == []
