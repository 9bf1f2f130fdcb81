"""`tm domains`: what to install, and what was found instead."""

from __future__ import annotations

import shlex

import pytest

from checks.pages import page
from tm_cli.exit_codes import ExitCode

TOKEN = "tm-verify-0123456789abcdef"


def domain(number=3, name="shop.example", **changes):
    return {
        "id": number,
        "domain": name,
        "verificationToken": TOKEN,
        "verificationMethod": None,
        "verified": False,
        "verifiedAt": None,
        "createdAt": "2026-02-01T09:00:00Z",
        "dnsInstruction": "...",
        "httpInstruction": "...",
        **changes,
    }


VERIFIED = domain(verified=True, verificationMethod="DNS", verifiedAt="2026-02-02T09:00:00Z")


def test_list_shows_what_is_verified_and_how(gate, server):
    server.answer("GET", "/domains", [VERIFIED, domain(4, "other.example")])
    lines = gate("domains", "list").stdout.splitlines()
    assert lines[1].split() == [
        "3",
        "shop.example",
        "DNS",
        *["2026-02-02", "09:00:00Z"],
        *["2026-02-01", "09:00:00Z"],
    ]
    assert lines[2].split()[:4] == ["4", "other.example", "no", "-"]


@pytest.mark.parametrize("words", [("add", "shop.example"), ("show", "3")])
def test_what_to_install_is_printed_ready_to_paste(gate, server, words):
    if words[0] == "add":
        server.answer("POST", "/domains", domain(), body={"domain": "shop.example"})
    else:
        server.answer("GET", "/domains", [domain()])
    shown = gate("domains", *words).stdout
    assert f'\n  _trafficmorph-verify.shop.example. 300 IN TXT "{TOKEN}"\n' in shown
    assert (
        f"  mkdir -p .well-known && echo {TOKEN} > .well-known/trafficmorph-verify.txt\n" in shown
    )
    assert "https://shop.example/.well-known/trafficmorph-verify.txt" in shown
    assert "tm domains verify dns shop.example" in shown
    assert "tm domains verify http shop.example" in shown


def test_the_page_shows_what_the_command_prints(gate, server):
    token = "tm-verify-e269ee1ba128add579cdbfb3c7ecde67"
    server.answer("POST", "/domains", domain(1, verificationToken=token))
    shown = gate("domains", "add", "shop.example").stdout
    assert f"$ tm domains add shop.example\n{shown}```" in page("docs/domains.md")


def test_a_token_of_a_server_is_no_command(gate, server):
    hostile = "x; rm -rf ~ $(id) `id` 'y"
    server.answer("POST", "/domains", domain(name="a;b.example", verificationToken=hostile))
    shown = gate("domains", "add", "shop.example").stdout
    command = next(line for line in shown.splitlines() if "mkdir" in line)
    assert shlex.split(command)[4:] == ["echo", hostile, ">", ".well-known/trafficmorph-verify.txt"]
    assert "`tm domains verify dns 'a;b.example'`" in shown


def test_an_address_has_no_record_to_add(gate, server):
    server.answer("POST", "/domains", domain(name="10.0.0.1"))
    shown = gate("domains", "add", "10.0.0.1").stdout
    assert "TXT" not in shown
    assert "tm domains verify http 10.0.0.1" in shown


def test_a_domain_that_is_verified_needs_nothing(gate, server):
    server.answer("POST", "/domains", VERIFIED)
    result = gate("domains", "add", "shop.example")
    assert result.stdout == (
        "shop.example (domain 3) is verified by DNS since 2026-02-02 09:00:00Z\n"
    )


def test_a_domain_that_the_server_refuses_is_named_with_the_reason(gate, server):
    server.error("POST", "/domains", 400, "domain: expected a bare host name")
    result = gate("domains", "add", "https://shop.example/")
    assert result.exit_code == ExitCode.REFUSED
    assert "cannot add https://shop.example/: domain: expected a bare host name" in result.stderr


@pytest.mark.parametrize("name", ["3", "shop.example", "SHOP.example."])
@pytest.mark.parametrize("method", ["dns", "HTTP"])
def test_verification_asks_for_one_look_by_name_or_id(gate, server, name, method):
    server.answer("GET", "/domains", [domain(4, "other.example"), domain()])
    server.answer("POST", f"/domains/3/verify/{method.lower()}", VERIFIED)
    result = gate("domains", "verify", method, name, "--json")
    assert result.exit_code == ExitCode.OK
    assert result.json["data"] == VERIFIED


@pytest.mark.parametrize(
    ("method", "look"),
    [
        ("dns", "dig +short TXT _trafficmorph-verify.shop.example"),
        ("http", "curl -i https://shop.example/.well-known/trafficmorph-verify.txt"),
    ],
)
def test_a_miss_says_what_was_found_and_how_to_look(gate, server, method, look):
    server.answer("GET", "/domains", [domain()])
    server.error("POST", f"/domains/3/verify/{method}", 400, "Expected x; found 'y'")
    result = gate("domains", "verify", method, "shop.example")
    assert result.exit_code == ExitCode.REFUSED
    assert "tm: cannot verify shop.example: Expected x; found 'y'" in result.stderr
    assert look in result.stderr


@pytest.mark.parametrize("words", [("show",), ("verify", "dns"), ("delete", "--yes")])
def test_a_domain_that_is_not_there_is_named(gate, server, words):
    server.answer("GET", "/domains", [domain()])
    result = gate("domains", *words, "shop.exampel")
    assert result.exit_code == ExitCode.REFUSED
    assert "there is no domain 'shop.exampel'" in result.stderr
    assert "did you mean shop.example?" in result.stderr


@pytest.mark.parametrize("words", [("add",), ("show",), ("verify", "http")])
def test_an_empty_name_is_refused_before_anything_is_sent(gate, words):
    result = gate("domains", *words, " ")
    assert result.exit_code == ExitCode.USAGE
    assert "DOMAIN is empty" in result.stderr


def test_deleting_asks_first_or_takes_yes(gate, server):
    for _ in range(2):
        server.answer("GET", "/domains", [domain()])
    assert gate("domains", "delete", "3").exit_code == ExitCode.USAGE
    server.answer("DELETE", "/domains/3", code=204, text="")
    result = gate("domains", "delete", "3", "--yes", "--json")
    assert result.json["data"] == {"domain_id": 3, "domain": "shop.example"}
