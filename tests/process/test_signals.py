"""Signals as exceptions."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from tm_cli.runtime.signals import SignalReceived, signals_raised

pytestmark = pytest.mark.process

PATIENCE = 10.0


class Finalised:
    """Something during whose end a signal arrives; Python ignores what is raised there."""

    def __del__(self):
        signal.raise_signal(signal.SIGTERM)


def test_a_signal_is_raised_where_it_arrives():
    with signals_raised(restore=True), pytest.raises(SignalReceived) as caught:
        signal.raise_signal(signal.SIGTERM)
    assert caught.value.number == signal.SIGTERM


def end_of_something_and_a_wait(seconds=PATIENCE):
    thing = Finalised()
    del thing
    threading.Event().wait(seconds)


def test_a_signal_that_arrives_in_a_finaliser_is_not_lost():
    with signals_raised(restore=True), pytest.raises(SignalReceived) as caught:
        end_of_something_and_a_wait()
    assert caught.value.number == signal.SIGTERM


def slowly_started(frame, event, _value):
    if event == "return" and frame.f_code is threading.Thread.start.__code__:
        time.sleep(0.1)


def test_a_signal_in_a_finaliser_is_not_lost_where_threads_start_slowly():
    """As on a busy machine: the repeated signal must not come before the first one is over."""
    sys.setprofile(slowly_started)
    try:
        with signals_raised(restore=True), pytest.raises(SignalReceived):
            end_of_something_and_a_wait(1.0)
    finally:
        sys.setprofile(None)


def test_everything_is_as_before_afterwards():
    hook, handler = sys.unraisablehook, signal.getsignal(signal.SIGTERM)
    with signals_raised(restore=True):
        assert signal.getsignal(signal.SIGTERM) != handler
    assert (sys.unraisablehook, signal.getsignal(signal.SIGTERM)) == (hook, handler)


SERVE = ("serve", "--port", "0", "--data-dir", "data")
SIGNAL_DURING_AN_IMPORT = """
import os, signal, sys

class Finder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name == "_socket":  # which `_ssl`, being in C, imports with PyCapsule_Import
            signal.raise_signal(signal.Signals[os.environ["SENT"]])

sys.modules.pop("_socket", None)
sys.meta_path.insert(0, Finder)
from tm_cli.main import run
run()
"""


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("SIGINT", 130),
        ("SIGTERM", 143),
        pytest.param(
            "SIGHUP", 129, marks=pytest.mark.skipif(os.name != "posix", reason="no SIGHUP")
        ),
    ],
)
def test_a_signal_while_an_extension_module_imports_another_has_its_exit_code(tmp_path, name, code):
    """Such an import replaces what is raised in it by an ImportError."""
    ended = subprocess.run(
        [sys.executable, "-c", SIGNAL_DURING_AN_IMPORT, *SERVE],
        env={**os.environ, "SENT": name},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (code, "tm: interrupted\n")
