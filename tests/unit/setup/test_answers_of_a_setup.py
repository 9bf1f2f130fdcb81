"""What `tm init` accepts as an answer, and what it makes of names."""

import pytest

from tm_cli.setup.answers import (
    duration,
    is_here,
    may_be_public,
    name_from,
    number,
    read_load,
    read_name,
    read_rate,
    read_seconds,
    read_server,
    read_target,
    stem,
)


@pytest.mark.parametrize(
    ("text", "load"),
    [
        ("20 for 1m", (20, 60)),
        ("20 1m", (20, 60)),
        ("2.5/s for 90", (2.5, 90)),
        (" 7 FOR 1h30m ", (7, 5400)),
        ("20 / s for 10s", (20, 10)),
    ],
)
def test_load_reads_rate_and_duration(text, load):
    assert read_load(text) == load


@pytest.mark.parametrize(
    "text", ["", "20", "for 1m", "0 for 1m", "-3 for 1m", "1e9 1m", "20 for 9s"]
)
def test_load_that_is_none_is_refused(text):
    with pytest.raises(ValueError):
        read_load(text)


@pytest.mark.parametrize(
    "text",
    [
        "shop.example:8080",
        "localhost/checkout",
        "ftp://host/",
        "http://",
        "http://user:secret@host/",
        "http://host:99999/",
        "http://host/#part",
        "http://host/a b",
        "http://host/\n- evil: true",
        "http://host/${{ secrets.TM_API_KEY }}",
        "http://host/{id}",
        'http://host/"quoted"',
        "http://host/`id`",
        "http://host/\u202egro",
        "http://host/" + "a" * 3000,
    ],
)
def test_target_that_is_no_plain_url_is_refused(text):
    with pytest.raises(ValueError) as problem:
        read_target(text)
    assert "secret@" not in str(problem.value)


@pytest.mark.parametrize(
    "text", ["http://h/?q=$(id)&a='b';c", "https://[::1]:8080/a%20b", "http://h"]
)
def test_target_keeps_every_character_of_a_url(text):
    assert read_target(text) == text


@pytest.mark.parametrize(
    "text",
    ["http://load.example/", "https://h/$(id)", "https://h/?q", "https://h/'", "load.example"],
)
def test_server_that_a_pipeline_cannot_name_safely_is_refused(text):
    with pytest.raises(ValueError):
        read_server(text)


def test_server_is_local_or_an_address():
    assert read_server("local") == "local"
    assert read_server("https://load.example") == "https://load.example/"
    assert read_server("http://localhost:8092") == "http://localhost:8092/"


@pytest.mark.parametrize("text", ["", "  ", "a\nb", "x" * 121, "a\u202eb", "\ud800"])
def test_name_that_no_profile_can_have_is_refused(text):
    with pytest.raises(ValueError):
        read_name(text)


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("checkout", "checkout"),
        ("Café au lait", "cafe-au-lait"),
        ("../../etc/passwd", "etc-passwd"),
        ("$(id); rm -rf /", "id-rm-rf"),
        (".gitlab-ci", "gitlab-ci"),
        ("NUL", "load-nul"),
        ("com1", "load-com1"),
        ("日本", "load-test"),
        ("x" * 120, "x" * 60),
    ],
)
def test_file_name_is_harmless_whatever_the_profile_is_called(name, file):
    assert stem(name) == file


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("http://localhost:8080/", "load-test"),
        ("http://localhost:8080/api/checkout", "checkout"),
        ("http://h/search.html?q=1", "search"),
        ("http://h/$(id)", "id"),
    ],
)
def test_profile_is_called_after_the_path(url, name):
    assert name_from(url) == name


@pytest.mark.parametrize(
    ("url", "here", "public"),
    [
        ("http://localhost:8080/", True, False),
        ("http://127.0.0.1/", True, False),
        ("http://[::1]/", True, False),
        ("http://10.0.0.4/", False, False),
        ("http://shop/", False, False),
        ("http://shop.internal/", False, False),
        ("http://shop.example.com/", False, True),
        ("http://93.184.216.34/", False, True),
    ],
)
def test_target_is_placed_by_its_spelling(url, here, public):
    assert (is_here(url), may_be_public(url)) == (here, public)


@pytest.mark.parametrize("seconds", [10, 60, 90, 3600, 3661, 5400, 172_800])
def test_written_duration_reads_as_the_same(seconds):
    assert read_seconds(duration(seconds)) == seconds


@pytest.mark.parametrize("rate", [0.001, 2.5, 20, 1_000_000, 9_999_999])
def test_written_rate_reads_as_the_same(rate):
    assert read_rate(number(rate)) == rate
