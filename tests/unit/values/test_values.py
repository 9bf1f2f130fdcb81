"""Small values that users type: durations, addresses, keys; and text that servers send."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tm_cli.values.api_key import ApiKey
from tm_cli.values.durations import format_duration, parse_duration
from tm_cli.values.text import LONGEST, sanitize
from tm_cli.values.urls import (
    is_loopback,
    is_same_target,
    parse_base_url,
    quote_base_url,
    with_ascii_host,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90),
        ("90s", 90),
        ("5m", 300),
        ("5min", 300),
        ("30sec", 30),
        ("1h30m", 5400),
        ("1h30min", 5400),
        ("250ms", 0.25),
        ("1.5s", 1.5),
        ("0", 0),
        ("5 m", 300),
        ("5 minutes", 300),
        ("1h 30 min", 5400),
        ("2 hours", 7200),
        ("1d", 86400),
    ],
)
def test_duration(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "s",
        "-5",
        "+5",
        "1e3",
        "nan",
        "inf",
        "5x",
        "1s2",
        "١s",
        "9999999h",
        "5m!",
        "1:00",
        "5 5",
        "1 h  1 m",
        "5M",
        "31d",
    ],
)
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(ValueError):
        parse_duration(text)


@given(st.integers(0, 100 * 3600))
def test_whole_durations_read_back_to_the_minute(seconds):
    back = parse_duration(format_duration(seconds))
    assert abs(back - seconds) < 60
    assert seconds >= 3600 or back == seconds


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("https://tm.example", "https://tm.example/"),
        ("  http://localhost:8092 ", "http://localhost:8092/"),
        ("https://host/a/b", "https://host/a/b/"),
        ("https://host/a%2Fb", "https://host/a%2Fb/"),
        ("https://[::1]:8092", "https://[::1]:8092/"),
        ("local", "local"),
    ],
)
def test_base_url_is_normalised_once_and_for_all(text, url):
    assert parse_base_url(text) == url
    assert parse_base_url(url) == url


@pytest.mark.parametrize(
    "text",
    [
        "",
        "localhost:8092",
        "tm.example",
        "ftp://host",
        "http://",
        "https:///path",
        "https://host?",
        "https://host/?a=b",
        "https://host#",
        "https://user:pw@host",
        "https://host:0",
        "https://host:99999",
        "https://host:x",
        "https://ho st",
        "https://host\\@evil",
        "https://host\r\nX: y",
        "file:///etc/passwd",
        "https://[::1",
    ],
)
def test_what_is_no_server_address_is_refused(text):
    with pytest.raises(ValueError):
        parse_base_url(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://user:pw@host/x", "'https://***@host/x'"),
        ("https://u:a@b@h", "'https://***@h'"),
        ("https://u:a/b?c#d@h/x", "'https://***@h/x'"),
        ("https://h/?api_key=s3cret", "'https://h/?***'"),
        ("https://h/#s3cret", "'https://h/?***'"),
        ("trafficmorph.example", "'trafficmorph.example'"),
        ("localhost:8080", "'localhost:8080'"),
        ("10.1.2.3:8443", "'10.1.2.3:8443'"),
        ("", "''"),
    ],
)
def test_quoted_address_hides_credentials(text, shown):
    assert quote_base_url(text) == shown


@pytest.mark.parametrize(
    "key",
    [
        "tm_live_0123456789",
        "0123456789abcdef0123456789abcdef",
        "a1b2c3d4e5f6a7b8c9d0e1f2a3b4c5d6",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.SflKxwRJSMeKKF2QT4",
        "abcdefghijklmnopqrstuvwxyz",
        "ada:pw@host.example",
        "host.example?api_key=s3cret",
        "A" * 3000,
    ],
)
def test_key_in_place_of_an_address_is_not_shown(key):
    assert quote_base_url(key) == f"({len(key)} characters, which are not shown)"


@pytest.mark.parametrize(
    ("url", "loopback"),
    [
        ("http://localhost:1/", True),
        ("http://127.0.0.1/", True),
        ("http://127.9.9.9/", True),
        ("http://[::1]:8092/", True),
        ("http://localhost./", True),
        ("http://localhost.evil.example/", False),
        ("http://127.0.0.1.evil.example/", False),
        ("http://10.0.0.1/", False),
        ("http://0.0.0.0/", False),
    ],
)
def test_only_this_machine_is_loopback(url, loopback):
    assert is_loopback(url) is loopback


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://fa\u00df.test/", "http://xn--fa-hia.test/"),
        (
            "https://B\u00dcCHER.test:8443/\u00df?q=\u00df",
            "https://xn--bcher-kva.test:8443/\u00df?q=\u00df",
        ),
        ("http://fa\u00df\u3002test?x", "http://xn--fa-hia.test?x"),
        ("http://\uff11\uff12\uff17.0.0.1:1/", "http://127.0.0.1:1/"),
        ("http://my_service:80/\u00df", "http://my_service:80/\u00df"),
        ("http://[::1]:80/", "http://[::1]:80/"),
    ],
)
def test_an_international_name_is_what_dns_certificates_and_headers_get(url, expected):
    assert with_ascii_host(url) == expected
    assert with_ascii_host(expected) == expected


@pytest.mark.parametrize("host", ["a_\u00df.test", "\u2603.net", "\u00df" * 64, "\u00df..test"])
def test_what_cannot_be_a_name_is_refused(host):
    with pytest.raises(ValueError, match="not a host name"):
        parse_base_url(f"https://{host}/")


def test_a_servers_address_has_the_name_that_is_connected_to():
    assert parse_base_url("https://fa\u00df.test/v1") == "https://xn--fa-hia.test/v1/"


def test_two_spellings_of_a_name_are_one_target():
    assert is_same_target("http://fa\u00df.test/", "http://XN--FA-HIA.test.:80")
    assert not is_same_target("http://fa\u00df.test/", "http://fass.test/")


@pytest.mark.parametrize("text", ["tm_abc", "tm_a\tb", "ключ", "no-prefix"])
def test_key_is_revealed_as_it_was_given(text):
    assert ApiKey(text).reveal() == text.encode()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        ("   ", "empty"),
        (" tm_a", "begins or ends with a blank"),
        ("tm_a\t", "begins or ends with a blank"),
        ("tm_a\u00a0", "begins or ends with a blank"),
        ("tm_a\n", "byte 0x0A at position 4"),
        ("tm_\x7fa", "byte 0x7F at position 3"),
        ("\x00", "byte 0x00 at position 0"),
    ],
)
def test_unusable_key_is_named_by_byte_never_shown(text, words):
    with pytest.raises(ValueError, match=words) as caught:
        ApiKey(text)
    assert "tm_" not in str(caught.value)


def test_key_shows_itself_nowhere():
    key = ApiKey("tm_canary")
    assert "canary" not in f"{key!r} {key} {key!s} {[key]} {vars}"
    with pytest.raises(TypeError):
        pickle.dumps(key)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text", "plain text"),
        ("\x1b[31mFAIL\x1b[0m", "[31mFAIL [0m"),
        ("FAIL\rPASS", "FAIL PASS"),
        ("a\n::set-output name=x::y", "a ::set-output name=x::y"),
        ("x ##[set-output name=gate]pass", "x # #[set-output name=gate]pass"),
        ("##vso[task.complete]", "# #vso[task.complete]"),
        (" \t::set-output name=x::y", ": :set-output name=x::y"),
        ("a\u202eb\u200bc", "abc"),
        ("\ud800", "�"),
        ("a\u2028b", "a b"),
        ("a" * LONGEST, "a" * LONGEST),
        ("a" * (LONGEST + 1), "a" * (LONGEST - 1) + "…"),
        ("a" * LONGEST + " b", "a" * (LONGEST - 1) + "…"),
        ("a  " * LONGEST, " ".join("a" * 167) + "…"),
        ("a" * LONGEST + " \n", "a" * LONGEST),
    ],
)
def test_hostile_text_is_one_harmless_line(text, shown):
    assert sanitize(text) == shown


@given(st.text(st.characters(exclude_categories=[]), max_size=2000))
def test_clean_text_holds_nothing_that_steers_a_terminal(text):
    shown = sanitize(text)
    assert len(shown) <= LONGEST
    assert all(ord(character) >= 0x20 and ord(character) != 0x7F for character in shown)
    assert "##[" not in shown
    assert not shown.lstrip().startswith("::")
    shown.encode()
