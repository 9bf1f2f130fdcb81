"""JSON that a gate may read, and JSON that it must not."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tm_cli.api.strict_json import parse

DOCUMENTS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(DOCUMENTS)
def test_reads_what_the_standard_library_reads(document):
    assert parse(json.dumps(document).encode()) == document


@pytest.mark.parametrize("number", [2**53 + 1, 2**63 - 1, -(2**63)])
def test_64_bit_ids_stay_exact(number):
    assert parse(b'{"id": %d}' % number) == {"id": number}


def test_one_byte_order_mark_is_tolerated():
    assert parse(b'\xef\xbb\xbf{"a": 1}') == {"a": 1}


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b'{"v":"FAIL","v":"PASS"}', id="repeated key"),
        pytest.param(b'{"a":{"v":1,"v":1}}', id="repeated key inside"),
        pytest.param(b'{"a": NaN}', id="NaN"),
        pytest.param(b"[-Infinity]", id="infinity"),
        pytest.param(b"[1e999]", id="too large a float"),
        pytest.param(b"[" + b"9" * 5000 + b"]", id="too long a number"),
        pytest.param(b"[" * 100_000, id="too deep"),
        pytest.param(b'{"a": 1', id="cut"),
        pytest.param(b"", id="empty"),
        pytest.param(b'"\xff"', id="no UTF-8"),
        pytest.param('{"a":1}'.encode("utf-16"), id="UTF-16"),
        pytest.param(b"<html>", id="HTML"),
        pytest.param(b"{} {}", id="two documents"),
    ],
)
def test_refuses_what_is_ambiguous_or_broken(data):
    with pytest.raises(ValueError):
        parse(data)


def test_lone_surrogates_are_replaced_and_pairs_are_kept():
    document = parse(b'{"a\\ud800": ["\\uDC00x", "\\ud83d\\ude00", 1]}')
    assert document == {"a\ufffd": ["\ufffdx", "\U0001f600", 1]}


def test_keys_that_become_equal_are_refused():
    with pytest.raises(ValueError):
        parse(b'{"\\ud800": 1, "\\ud801": 2}')
