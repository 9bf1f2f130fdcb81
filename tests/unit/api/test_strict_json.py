"""JSON that a gate may read, and JSON that it must not."""

from __future__ import annotations

import json
import math
import timeit
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tm_cli.api.client import parse_payload
from tm_cli.api.strict_json import _unique, parse, parse_answer
from tm_cli.api.trafficmorph import LiveStatus
from tm_cli.values.api_key import hide_in_answer

DOCUMENTS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**308), 10**308)
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


@given(
    st.from_regex(r"-?(0|[1-9][0-9]{0,420})(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,4})?", fullmatch=True)
)
def test_every_number_that_is_read_fits_a_float(text):
    with suppress(ValueError):
        assert math.isfinite(parse(f"[{text}]")[0])


@pytest.mark.parametrize("text", ["9" * 308, "-" + "9" * 308, "1e308", "5e-324", "1e-400"])
def test_largest_and_smallest_numbers_are_read(text):
    assert parse(f"[{text}]") == [json.loads(text)]


class CountedKey(str):
    """A key that counts how often it is compared."""

    compared = 0

    def __eq__(self, other):
        CountedKey.compared += 1
        return str.__eq__(self, other)

    __hash__ = str.__hash__


def test_repeated_key_is_found_in_one_pass():
    """Each key is compared with its namesake at most, and not with all the others."""
    keys = [CountedKey(f"k{number}") for number in range(2000)]
    pairs = [(key, 0) for key in [*keys, CountedKey("k1999")]]
    CountedKey.compared = 0
    with pytest.raises(ValueError):
        _unique(pairs)
    assert CountedKey.compared < len(pairs)


@pytest.mark.parametrize("text", ["1e101", "-1e101", "1" + "0" * 101, "1e308", "9" * 309])
def test_answer_has_no_number_that_nothing_measures(text):
    with pytest.raises(ValueError, match="too large"):
        parse_answer(f"[{text}]")


def test_answer_has_a_number_that_is_as_good_as_nothing_as_nothing():
    assert parse_answer("[1e-100, 1e-101, -5e-324, 1e-400]") == [1e-100, 0, 0, 0]


def read_repeatedly(read, documents):
    return min(timeit.repeat(lambda: [read(item) for item in documents], number=1, repeat=5))


READERS = {
    "many keys": (
        lambda n: json.dumps({f"k{i}": i for i in range(n)}),
        lambda text: hide_in_answer(parse_answer(text), "tm_secret"),
    ),
    "keys that become equal late": (
        lambda n: "{" + "".join(f'"\\ud800{i}": 1, ' for i in range(n)) + '"a": 1}',
        parse_answer,
    ),
    "a key that is repeated at the end": (
        lambda n: json.dumps({f"k{i}": i for i in range(n)})[:-1] + f', "k{n - 1}": 0}}',
        lambda text: _failing(parse_answer, text),
    ),
    "items that break the contract": (
        lambda n: {"recentBuckets": [7] * n},
        lambda document: parse_payload(LiveStatus.model_validate, "x", document),
    ),
    "long digits": (lambda n: "[0." + "1" * n * 50 + "]", lambda text: _failing(parse, text)),
}


def _failing(read, text):
    with suppress(ValueError):
        read(text)


@pytest.mark.parametrize("name", READERS)
def test_time_to_read_grows_with_the_size_and_not_with_its_square(name):
    make, read = READERS[name]
    small, large = make(1500), make(24_000)
    assert read_repeatedly(read, [large]) < 5 * read_repeatedly(read, [small] * 16)


def test_message_about_a_repeated_key_is_short():
    key = "k" * 100_000
    with pytest.raises(ValueError) as caught:
        parse(json.dumps({key: 1})[:-1] + f', "{key}": 2}}')
    assert len(str(caught.value)) < 100


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
        pytest.param(b"[0." + b"9" * 5000 + b"]", id="too long a fraction"),
        pytest.param(b"[1e" + b"9" * 5000 + b"]", id="too long an exponent"),
        *[
            pytest.param(b"[" + sign + b"9" * digits + b"]", id=f"{digits} digits")
            for digits in (309, 310, 399, 400)
            for sign in (b"", b"-")
        ],
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
