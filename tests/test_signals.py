"""Signals as exceptions."""

from __future__ import annotations

import signal
import sys
import threading

import pytest

from tm_cli.signals import SignalReceived, signals_raised

PATIENCE = 10.0


class Finalised:
    """Something during whose end a signal arrives; Python ignores what is raised there."""

    def __del__(self):
        signal.raise_signal(signal.SIGTERM)


def test_a_signal_is_raised_where_it_arrives():
    with signals_raised(restore=True), pytest.raises(SignalReceived) as caught:
        signal.raise_signal(signal.SIGTERM)
    assert caught.value.number == signal.SIGTERM


def end_of_something_and_a_wait():
    thing = Finalised()
    del thing
    threading.Event().wait(PATIENCE)


def test_a_signal_that_arrives_in_a_finaliser_is_not_lost():
    with signals_raised(restore=True), pytest.raises(SignalReceived) as caught:
        end_of_something_and_a_wait()
    assert caught.value.number == signal.SIGTERM


def test_everything_is_as_before_afterwards():
    hook, handler = sys.unraisablehook, signal.getsignal(signal.SIGTERM)
    with signals_raised(restore=True):
        assert signal.getsignal(signal.SIGTERM) != handler
    assert (sys.unraisablehook, signal.getsignal(signal.SIGTERM)) == (hook, handler)
