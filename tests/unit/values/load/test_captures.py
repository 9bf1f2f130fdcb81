"""Lines of a capture: what is read, and what is wrong with the others."""

import json

import pytest

from tm_cli.values.load.captures import (
    LONGEST_LINE,
    MOST_LINES,
    CapturedRequest,
    InvalidLine,
    UnusableCapture,
    is_truncated,
    numbered_lines,
    read_request,
    write_request,
)

GOOD = {"t": 1.5, "method": "post", "url": "http://shop.test/a?b=c"}


def line(**changes):
    kept = {key: value for key, value in {**GOOD, **changes}.items() if value is not ...}
    return json.dumps(kept).encode()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, CapturedRequest(1.5, "POST", GOOD["url"])),
        ({"t": 0}, CapturedRequest(0.0, "POST", GOOD["url"])),
        ({"t": 1.7e9, "body": None}, CapturedRequest(1.7e9, "POST", GOOD["url"])),
        ({"headers": {"a": "b"}}, CapturedRequest(1.5, "POST", GOOD["url"], {"a": "b"})),
        ({"body": "{}", "status": 200}, CapturedRequest(1.5, "POST", GOOD["url"], {}, "{}")),
    ],
)
def test_a_line_is_read_without_its_unknown_keys(changes, expected):
    assert read_request(line(**changes)) == expected


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"t": ...}, "t is missing"),
        ({"t": None}, "t is missing"),
        ({"t": "1"}, "t must be a number"),
        ({"t": True}, "t must be a number"),
        ({"t": -0.1}, "t must be a finite number"),
        ({"t": float("inf")}, "t must be a finite number"),
        ({"t": float("nan")}, "t must be a finite number"),
        ({"t": 10**400}, "t must be a finite number"),
        ({"method": ...}, "method is missing"),
        ({"method": ""}, "method must be"),
        ({"method": "GET /"}, "method must be"),
        ({"url": ...}, "url is missing"),
        ({"url": "/a"}, "url must be an absolute"),
        ({"url": "ftp://shop.test/"}, "url must be an absolute"),
        ({"url": "http://shop.test:99999/"}, "url must be an absolute"),
        ({"url": "http://[::1/"}, "url must be an absolute"),
        ({"url": "http://$$host$$.test/"}, "url must be an absolute"),
        ({"url": "http://ada@${TOKEN}.test/"}, "url must be an absolute"),
        ({"url": "http://shop test/"}, "url must be an absolute"),
        ({"headers": []}, "headers must be an object"),
        ({"headers": {"a": 1}}, "headers: the value of a"),
        ({"body": {}}, "body must be a text"),
        ({"body": "\ud800"}, "half of a character"),
    ],
)
def test_what_is_wrong_with_a_line_names_its_key(changes, message):
    with pytest.raises(InvalidLine, match=message):
        read_request(line(**changes))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"{", "not JSON: .* at character 2"),
        (b"[1]", "not a JSON object"),
        (b"\xff", "not text in UTF-8"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"t":' + b"1" * 5000 + b"}", "too many digits"),
        (b" " * (LONGEST_LINE + 1), "longer than"),
    ],
)
def test_a_line_that_is_no_json_object_says_so(text, message):
    with pytest.raises(InvalidLine, match=message):
        read_request(text)


def test_lines_are_counted_with_blank_ones_and_end_anywhere():
    pieces = [b"\xef\xbb\xbfa", b"", b"b\n\n  \r\nc", b"\r\nd"]
    assert list(numbered_lines(pieces)) == [(1, b"ab"), (4, b"c\r"), (5, b"d")]
    assert list(numbered_lines([])) == list(numbered_lines([b"\n"])) == []


def test_a_line_without_end_is_not_held_as_a_whole():
    pieces = (b"x" * 1024 * 1024 for _ in range(24))
    [(number, found), last] = numbered_lines([*pieces, b"\ny"])
    assert number == 1
    assert LONGEST_LINE < len(found) < 2 * LONGEST_LINE
    assert last == (2, b"y")


@pytest.mark.parametrize("start", [b"\x1f\x8b", b"PK\x03\x04", b"\x28\xb5\x2f\xfd", b"BZh9"])
def test_a_compressed_file_is_refused(start):
    with pytest.raises(UnusableCapture, match=r"compressed .*; unpack it"):
        list(numbered_lines([start[:1], start[1:], b"rest"]))


def test_a_file_with_too_many_lines_is_refused():
    with pytest.raises(UnusableCapture, match=f"more than {MOST_LINES:,} lines"):
        sum(1 for _ in numbered_lines([b"\n" * MOST_LINES, b"x"]))


def test_a_written_line_is_read_as_what_it_was():
    request = CapturedRequest(0.125, "PUT", "http://shop.test/ü", {"A": "b"}, '{"x": "\n"}')
    written = write_request(request)
    assert written.startswith('{"t":0.125,"method":"PUT","url":')
    assert read_request(written.encode()) == request
    assert write_request(CapturedRequest(1, "GET", "http://a")) == (
        '{"t":1,"method":"GET","url":"http://a"}'
    )


def test_a_cut_body_is_recognised_by_its_end():
    assert is_truncated("{...[truncated 12 chars]")
    assert not is_truncated("...[truncated 12 chars]}")
