"""What processes use: this one, which is measured as it works."""

from __future__ import annotations

import os
import socket
import sys

import pytest

from tm_cli.target.process_usage import NotRecorded, PsutilUsage, find_listeners, usage_of

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc")


def measure_by_psutil(pid, *, supervised, port):
    return PsutilUsage(pid, is_supervised=supervised, port=port)


WAYS = [usage_of, measure_by_psutil]


@pytest.mark.parametrize("measure", WAYS)
def test_work_and_memory_of_a_process_are_measured(measure):
    usage = measure(os.getpid(), supervised=False, port=None)
    assert set(usage.read()) == {"target.memory"}, "one reading tells no CPU time"
    sum(range(3_000_000))
    found = usage.read()
    assert found["target.cpu"] > 1
    assert 5e6 < found["target.memory"] < 5e9


@pytest.mark.parametrize("measure", WAYS)
def test_process_that_listens_is_found_and_has_not_restarted(measure):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        usage = measure(os.getpid(), supervised=False, port=port)
        assert usage.read()["target.restarts"] == 0
    assert usage.read()["target.restarts"] == 0, "the process is still there"


@pytest.mark.parametrize("measure", WAYS)
def test_restarts_are_unknown_before_anything_listens(measure):
    assert "target.restarts" not in measure(os.getpid(), supervised=False, port=1).read()


@linux
def test_what_listens_at_a_port_is_measured():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert find_listeners(port) == [os.getpid()]
        assert "target.memory" in usage_of(None, supervised=False, port=port).read()
    assert find_listeners(port) == []


def test_process_that_is_not_there_is_refused():
    with pytest.raises(NotRecorded, match="no process"):
        usage_of(2**22 + 1, supervised=False, port=None)
