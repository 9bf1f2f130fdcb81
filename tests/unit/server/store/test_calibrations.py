"""Measured spreads in the database."""

import json

import pytest

from tm_cli.server.store.calibrations import Calibrations


class Settings:
    """The settings of a database, in memory."""

    def __init__(self):
        self.values = {}

    def get(self, name):
        return self.values.get(name)

    def put(self, name, value):
        self.values[name] = value


@pytest.fixture
def settings():
    return Settings()


def test_each_class_has_its_own_record(settings):
    ours, theirs = Calibrations(settings, "ours"), Calibrations(settings, "theirs")
    ours.put({"spread": 0.02})
    theirs.put({"spread": 0.05})
    assert (ours.spread("ours"), ours.spread("theirs")) == (0.02, 0.05)
    assert ours.spread("another") is None
    assert ours.spread(None) is None


def test_record_is_replaced_and_forgotten(settings):
    ours = Calibrations(settings, "ours")
    ours.put({"spread": 0.02})
    ours.put({"spread": 0.03})
    assert ours.all() == {"ours": {"spread": 0.03}}
    assert ours.forget()
    assert not ours.forget()
    assert ours.spread("ours") is None


def test_other_classes_outlive_a_forgotten_one(settings):
    Calibrations(settings, "theirs").put({"spread": 0.05})
    ours = Calibrations(settings, "ours")
    ours.put({"spread": 0.02})
    ours.forget()
    assert list(ours.all()) == ["theirs"]


@pytest.mark.parametrize(
    "spread", [0, -0.02, 1.5, float("inf"), float("nan"), "0.02", True, None, [0.02]]
)
def test_spread_that_cannot_be_one_does_not_count(settings, spread):
    settings.put("calibrations", json.dumps({"ours": {"spread": spread}}))
    assert Calibrations(settings, "ours").spread("ours") is None


@pytest.mark.parametrize("text", ["{", "[]", "7", "[" * 100_000, '{"ours": 7}', '{"ours": {}}'])
def test_damaged_records_count_as_none(settings, text):
    settings.put("calibrations", text)
    ours = Calibrations(settings, "ours")
    assert ours.all() == {}
    ours.put({"spread": 0.02})
    assert ours.spread("ours") == 0.02


def test_oldest_classes_make_room(settings):
    for number in range(102):
        Calibrations(settings, f"class {number}").put({"spread": 0.02})
    found = list(Calibrations(settings, "ours").all())
    assert (found[0], found[-1], len(found)) == ("class 2", "class 101", 100)
