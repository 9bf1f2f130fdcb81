"""How the failures of locustfiles are classed and explained."""

import pytest

from tm_cli.values.failures import error_class, failure_meaning


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("LocustfileError KeyError", "check"),
        ("/checkout: CheckFailed no: answer", "check"),
        ("JourneyTimeout", "timeout"),
        ("/pay: TargetRefused [2600::1]:443", "connection"),
        ("/pay: 503", "5xx"),
    ],
)
def test_each_failure_has_a_class_and_a_meaning(name, kind):
    assert error_class(name) == kind
    assert kind == "5xx" or failure_meaning(name)
