"""Placeholders: what is filled in, what stays, and where a value is hidden."""

import pytest

from tm_cli.values.load.placeholders import (
    MissingValue,
    Placeholder,
    fill,
    fill_all,
    hide_values,
    placeholders,
)

VALUES = {"HOST": "shop.test", "TOKEN": "s3cret"}


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("", ""),
        ("no $placeholder or $$macro$$ {here}", "no $placeholder or $$macro$$ {here}"),
        ("http://${HOST}/?t=${TOKEN}", "http://shop.test/?t=s3cret"),
        ("${HOST:-localhost}", "shop.test"),
        ("${PORT:-8080}", "8080"),
        ("${PORT:-}", ""),
        ("${URL:-http://a/b?c=:-d}", "http://a/b?c=:-d"),
        ("$${HOST}", "${HOST}"),
        ("$${HOST} ${HOST}", "${HOST} shop.test"),
        ("$$id$$${HOST}", "$$id$$shop.test"),
    ],
)
def test_what_is_filled_in(text: str, filled: str) -> None:
    assert fill(text, VALUES) == filled


def test_a_value_is_not_filled_in_again() -> None:
    assert fill("${A}", {"A": "${B}", "B": "no"}) == "${B}"


def test_a_missing_value_is_named() -> None:
    with pytest.raises(MissingValue, match=r"\$\{PORT\} has no value"):
        fill("${PORT}", VALUES)


def test_keys_of_a_document_are_left_alone() -> None:
    filled = fill_all({"${HOST}": ["${HOST}", 1, None, ({"a": "${TOKEN}"},)]}, VALUES)
    assert filled == {"${HOST}": ["shop.test", 1, None, ({"a": "s3cret"},)]}


def test_placeholders_are_found_with_their_places() -> None:
    profile = {
        "endpointUrl": "${BASE}/a",
        "requestHeaders": '[{"name": "Authorization", "value": "Bearer ${TOKEN:-none}"}]',
        "requestPayload": "$${not} ${in body}",
        "name": "${NAME}",
        "responseScript": "`${js}`",
    }
    assert list(placeholders(profile)) == [
        Placeholder("endpointUrl", "BASE"),
        Placeholder("requestPayload", None),
        Placeholder("requestHeaders.Authorization", "TOKEN", "none"),
    ]


def test_values_are_hidden_the_longest_first_and_words_are_not() -> None:
    values = {"KEY": "abcd", "LONG": "abcdef", "SHORT": "a"}
    assert hide_values("abcdef abcd a", values) == "${LONG} ${KEY} a"


def test_values_are_hidden_as_urls_and_json_write_them() -> None:
    secret = 'a/b "c"\n'
    shown = [
        secret,
        "/x?key=a%2Fb%20%22c%22%0A",
        "/x?key=a/b%20%22c%22%0A",
        "/x?key=a%2Fb+%22c%22%0A",
        '{"key": "a/b \\"c\\"\\n"}',
        repr(secret),
    ]
    for text in shown:
        hidden = hide_values(text, {"KEY": secret})
        assert "${KEY}" in hidden
        assert "c" not in hidden
