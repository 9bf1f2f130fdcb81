import pytest

from tm_cli.values.failures import error_class, failure_meaning


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("200", None),
        ("302", None),
        ("404", "4xx"),
        ("503", "5xx"),
        ("checkout: 503", "5xx"),
        ("a: b: 404", "4xx"),
        ("TimeoutError", "timeout"),
        ("checkout: TimeoutError", "timeout"),
        ("timeout page: HTTPParseError", "connection"),
        ("ConnectionRefusedError", "connection"),
        ("UnexpectedStatus 302", "status"),
        ("checkout: UnexpectedStatus 302", "status"),
        ("RedirectRefused", "status"),
        ("a: TooManyRedirects", "status"),
        ("CheckFailed body", "check"),
        ("login: CheckFailed json (not JSON)", "check"),
        ("login: CheckFailed text: 404", "check"),
        ("login: ExtractionFailed token", "check"),
        ("MissingValue token", "check"),
        ("BadValue", "check"),
        ("²", "connection"),
    ],
)
def test_error_is_of_the_class_of_its_name(code: str, name: str | None) -> None:
    assert error_class(code) == name


def test_error_of_a_step_is_explained_like_any_other() -> None:
    assert failure_meaning("checkout: CheckFailed json") == failure_meaning("CheckFailed json")
    assert failure_meaning("TimeoutError") == failure_meaning("a: TimeoutError")
    assert failure_meaning("a: 404") is None
