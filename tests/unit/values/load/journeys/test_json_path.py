from typing import Any

import pytest

from tm_cli.values.load.journeys.json_path import find_in_json, parse_json_path

DOCUMENT = {"a": {"b": [10, {"x y": "found", "it's": 1}]}, "größe": 3, "c-d": 4, "": 5, "0": 6}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("$", DOCUMENT),
        ("$.a.b[0]", 10),
        ("$.a.b[-1]['x y']", "found"),
        ('$["a"]["b"][1]["x y"]', "found"),
        ('$.a.b[ 1 ]["it\'s"]', 1),
        ("$.größe", 3),
        ("$.c-d", 4),
        ("$['']", 5),
        ("$['0']", 6),
    ],
)
def test_path_leads_to_its_value(text: str, value: Any) -> None:
    assert find_in_json(DOCUMENT, parse_json_path(text)) == value


@pytest.mark.parametrize(
    "text",
    [
        *["", "a", ".a", "a.b", "$a", "$.", "$..a", "$.*", "$[*]", "$[a]", "$[1:2]", "$[01]"],
        *["$['a", "$[?@.x]", "$.a b", "$.1", "$[0", "$[--1]", "$" + ".a" * 300, "$['a\\'']"],
    ],
)
def test_what_names_no_single_value_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="path"):
        parse_json_path(text)


@pytest.mark.parametrize(
    "text", ["$.x", "$.a[0]", "$.a.b.c", "$.a.b[2]", "$.a.b[-3]", "$.a.b[0].c"]
)
def test_value_that_is_not_there_is_a_lookup_error(text: str) -> None:
    with pytest.raises(LookupError):
        find_in_json(DOCUMENT, parse_json_path(text))
