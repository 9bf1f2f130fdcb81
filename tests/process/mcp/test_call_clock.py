"""A cancelled call pauses no longer and starts nothing; what it has begun it brings to an end."""

import threading
from pathlib import Path

import pytest

from tm_cli.mcp.calls import CallClock, KeptServers
from tm_cli.runtime.local_server import LocalServerLease
from tm_cli.runtime.signals import SignalReceived


def test_a_pause_is_that_of_the_clock_beneath(clock):
    CallClock(clock).sleep(5)
    assert clock.slept == [5]


def test_a_pause_ends_with_the_call(clock):
    call = CallClock(clock)
    call.cancel()
    with pytest.raises(SignalReceived):
        call.sleep(5)
    assert clock.slept == []


def test_whoever_reads_the_time_before_a_start_is_told_once(clock):
    call = CallClock(clock)
    call.cancel()
    with pytest.raises(SignalReceived):
        call.now()
    assert call.now() == clock.wall


def test_waiting_for_news_ends_with_news_time_or_call(clock):
    call, news = CallClock(clock), threading.Event()
    assert call.wait(news, 2.0) is False
    assert sum(clock.slept) == pytest.approx(2.0)
    news.set()
    assert call.wait(news, 2.0) is True
    call.cancel()
    with pytest.raises(SignalReceived):
        call.wait(news, 2.0)


class Lease:
    """Counts how often it was given back."""

    def __init__(self):
        self.closed = 0

    def close(self):
        self.closed += 1


class Launcher:
    """Hands out leases on a server whose process id can change."""

    def __init__(self):
        self.pid, self.leases = 1, []

    def __call__(self, data_dir):
        self.leases.append(Lease())
        return LocalServerLease("http://127.0.0.1/", data_dir, self.pid, False, self.leases[-1])


def test_an_embedded_server_stays_up_between_calls_and_no_longer():
    launch = Launcher()
    servers = KeptServers(launch)
    for _ in range(3):
        servers.launch(Path("data")).close()
    assert [lease.closed for lease in launch.leases] == [1, 0, 1, 1]
    servers.close()
    assert [lease.closed for lease in launch.leases] == [1, 1, 1, 1]


def test_a_server_that_was_started_anew_is_kept_instead():
    launch = Launcher()
    servers = KeptServers(launch)
    servers.launch(Path("data"))
    launch.pid = 2
    servers.launch(Path("data"))
    assert [lease.closed for lease in launch.leases] == [0, 1, 0, 0]
