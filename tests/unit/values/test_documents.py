"""YAML as plain JSON data, as version 1.2 reads it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tm_cli.values.documents import (
    DEEPEST,
    MOST_VALUES,
    InvalidDocument,
    Positions,
    parse_yaml,
    to_yaml,
)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("020", 20),
        ("-0123", -123),
        ("+5", 5),
        ("0o17", 15),
        ("0x1F", 31),
        ("1e3", 1000.0),
        ("2e1", 20.0),
        (".5", 0.5),
        ("1.", 1.0),
        ("-1.5E-3", -0.0015),
        ("1_000", "1_000"),
        ("12:30", "12:30"),
        ("1:00", "1:00"),
        ("no", "no"),
        ("Yes", "Yes"),
        ("ON", "ON"),
        ("y", "y"),
        ("=", "="),
        ("2026-01-01", "2026-01-01"),
        ("2026-01-01T12:30:00Z", "2026-01-01T12:30:00Z"),
        ("true", True),
        ("FALSE", False),
        ("tRUE", "tRUE"),
        ("~", None),
        ("", None),
        ("Null", None),
        ("'020'", "020"),
        ('"\\ud83d\\ude00"', "\N{GRINNING FACE}"),
        ('"\\ud83d"', "\N{REPLACEMENT CHARACTER}"),
        ("!!str 020", "020"),
        ("!!float 2", 2),
        ("0b11", "0b11"),
        ("NaN", "NaN"),
        ("inf", "inf"),
    ],
)
def test_plain_values_mean_what_yaml_1_2_says(written, value):
    found = parse_yaml(f"a: {written}")["a"]
    assert (found, type(found) is bool) == (value, type(value) is bool)


@pytest.mark.parametrize(
    ("text", "words", "line"),
    [
        ("a:\n  b: .nan", "a.b is .nan", 2),
        ("a: [1, -.Inf]", "a[1] is -.Inf", 1),
        ("a: !!binary aGk=", "a has the tag !!binary", 1),
        ("a: !!set {x, y}", "a has the tag !!set", 1),
        ("a: !!timestamp 2026-01-01", "tag !!timestamp", 1),
        ("a: !!omap [x: 1]", "tag !!omap", 1),
        ("a: !mine 1", "tag !mine", 1),
        ("a: !!python/object/apply:os.system [x]", "tag !!python", 1),
        ("x: 1\na: &a {b: *a}", "a.b contains itself", 2),
        ("a: &a [*a]", "a[0] contains itself", 1),
        ("&a {<<: *a}", "contains itself", None),
        ("x: 1\n1: a", "the key 1 in the document is not text", 2),
        ("a: {null: 1}", "the key null in a is not text", 1),
        ("? [a]\n: 1", "a key in the document is not text", 1),
        ("a: 1\nb: 2\na: 3", "duplicate key 'a'", 3),
        ("b: &b {}\na: {<<: *b, <<: *b}", "duplicate key '<<'", 2),
        ("<<: 1", "<< in the document takes a mapping", None),
        ("a: {<<: [1]}", "<< in a takes a mapping", 1),
        ("a: 1e999", "too large", 1),
        ("a: " + "9" * 309, "too large", 1),
        ("a: " + "9" * 5000, "too long", 1),
        ("a: 0x" + "f" * 300, "too large", 1),
        ("a: !!int x", "a is no !!int", 1),
        ("[" * 5000, "nested too deeply", 1),
        ("a: " + "[" * 100 + "]" * 100, "nested too deeply", 1),
        ("a: 1\nb: [", "invalid YAML", 2),
        ("a: 1\nb: \x01", "control character", 2),
        ("a: *b", "undefined alias", 1),
        ("a: 1\n---\nb: 2", "another document", 2),
    ],
)
def test_what_json_cannot_hold_is_refused_with_its_place(text, words, line):
    with pytest.raises(InvalidDocument) as refused:
        parse_yaml(text)
    assert words in str(refused.value)
    place = Positions(text).find(refused.value.path) or (None,)
    assert (refused.value.line or place[0]) == line


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}", {"x": 1, "y": 3}),
        ("a: &a {x: 1, y: 2}\nb: {y: 3, <<: *a}", {"x": 1, "y": 3}),
        ("p: &p {x: 1}\nq: &q {x: 2, z: 2}\nb: {<<: [*p, *q]}", {"x": 1, "z": 2}),
        ("p: &p {x: 1}\nq: &q {<<: *p, z: 2}\nb: {<<: *q}", {"x": 1, "z": 2}),
        ('b: {"<<": 1}', {"<<": 1}),
        ("p: &p 1\nq: &p 2\nb: *p", 2),
    ],
)
def test_merge_keys_and_anchors(text, value):
    assert parse_yaml(text)["b"] == value


def test_aliases_count_at_each_use():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)]
    with pytest.raises(InvalidDocument, match=f"more than {MOST_VALUES} values"):
        parse_yaml("\n".join(lines))


def test_deepest_nesting_that_is_read():
    assert parse_yaml("[" * DEEPEST + "]" * DEEPEST)
    with pytest.raises(InvalidDocument):
        parse_yaml("[" * (DEEPEST + 1) + "]" * (DEEPEST + 1))


def test_chosen_values_are_the_characters_of_the_file():
    text = "h: {a: 0123, b: NO, c: 1.10, d: , e: ~, 404: x, f: '', g: !!str 1}\ni: 0123"
    wanted = {"a": "0123", "b": "NO", "c": "1.10", "d": "", "e": "~", "404": "x", "f": "", "g": "1"}
    assert parse_yaml(text, as_text=[("h", "*")]) == {"h": wanted, "i": 123}


def test_null_at_the_top_is_the_same_as_no_key():
    text = "a: null\nb: 0123\nc:"
    found = parse_yaml(text, as_text=[("a",), ("b",), ("c",)])
    assert found == {"a": None, "b": "0123", "c": None}


def test_document_of_another_program_may_have_tags_and_any_keys():
    text = "1: !reference [a, b]\non: .nan\nk: !vault x"
    assert parse_yaml(text, foreign=True) == {"1": None, "on": ".nan", "k": None}


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**300), 10**300)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.from_regex(r"[-+.0-9eExo:_]{1,6}", fullmatch=True)
    | st.sampled_from(["no", "~", "<<", "=", "2026-01-01", "1e3", "0o17", ".inf", "\ufeffa"])
    | st.text(st.characters(exclude_characters="\x85", exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text(max_size=3).filter(str.isprintable), inner)
    ),
    max_leaves=8,
)


@given(JSON)
def test_what_is_written_reads_as_it_was(document):
    assert parse_yaml(to_yaml(document)) == document
