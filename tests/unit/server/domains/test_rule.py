import pytest

from tm_cli.server.domains.rule import DomainRule, covers, read_domain
from tm_cli.server.web.bodies import Refusal


@pytest.mark.parametrize(
    ("text", "domain"),
    [
        ("api.example.com", "api.example.com"),
        (" API.Example.COM. ", "api.example.com"),
        ("b\u00fccher.example", "xn--bcher-kva.example"),
        ("fa\u00df.example", "xn--fa-hia.example"),
        ("localhost", "localhost"),
        ("my_host", "my_host"),
        ("10.0.0.1", "10.0.0.1"),
        ("FD00::0001", "fd00::1"),
        ("[fd00::1]", "fd00::1"),
    ],
)
def test_a_bare_host_is_a_domain_in_one_spelling(text, domain):
    assert read_domain(text) == domain
    assert read_domain(domain) == domain


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "must not be blank"),
        ("  ", "must not be blank"),
        ("https://api.example.com/v1", "bare host name .*did you mean api.example.com"),
        ("HTTP://a.example", "did you mean a.example"),
        ("//a.example", "did you mean a.example"),
        ("api.example.com:8443", "did you mean api.example.com"),
        ("api.example.com/", "did you mean api.example.com"),
        ("ada@example.com", "did you mean example.com"),
        ("http://", "bare host name"),
        ("https://a%2fb.example/", "bare host name"),
        ("a..example", "not a host name"),
        ("-a.example", "not a host name"),
        ("a-.example", "not a host name"),
        ("a b.example", "not a host name"),
        ("a\0.example", "not a host name"),
        (".", "not a host name"),
        ("..", "not a host name"),
        ("127.1", "not a host name"),
        ("1.2.3.400", "not a host name"),
        ("*.example.com", "'example.com' alone covers all its subdomains"),
        ("x" * 64 + ".example", "too long"),
        (".".join(["x" * 60] * 4), "at most 232 characters"),
        ("\u2603\u0000.example", "not a host name"),
        ("fe80::1%eth0", "bare host name"),
        ("169.254.169.254", "blocked"),
        ("metadata.google.internal", "blocked"),
    ],
)
def test_anything_else_is_refused_with_the_reason(text, reason):
    with pytest.raises(ValueError, match=reason):
        read_domain(text)


@pytest.mark.parametrize(
    ("domain", "host", "covered"),
    [
        ("example.com", "example.com", True),
        ("example.com", "api.example.com", True),
        ("example.com", "a.b.example.com", True),
        ("example.com", "badexample.com", False),
        ("api.example.com", "example.com", False),
        ("10.0.0.1", "10.0.0.1", True),
        ("0.0.1", "10.0.0.1", False),
        ("10.0.0.1", "x.10.0.0.1", False),
    ],
)
def test_a_domain_covers_itself_and_what_is_below_it(domain, host, covered):
    assert covers(domain, host) is covered


def check(url, addresses, *verified, required=True):
    DomainRule(lambda: verified, required).check(url, addresses)


@pytest.mark.parametrize(
    ("url", "addresses"),
    [
        ("http://shop.test/", ["10.0.0.1"]),
        ("http://SHOP.test.:81/", ["10.0.0.1"]),
        ("http://api.shop.test/", None),
        ("http://10.0.0.7/", ["10.0.0.7"]),
        ("http://[fd00:0::1]/", ["fd00::1"]),
        ("http://b\u00fccher.test/", None),
        ("http://localhost:8080/", ["127.0.0.1", "::1"]),
        ("http://own.test/", ["127.0.0.1"]),
        ("http://own.test/", ["::ffff:127.0.0.1"]),
        ("http://localhost/", None),
    ],
)
def test_load_goes_to_verified_domains_and_to_this_machine(url, addresses):
    check(url, addresses, "shop.test", "10.0.0.7", "fd00::1", "xn--bcher-kva.test")


@pytest.mark.parametrize(
    ("url", "addresses"),
    [
        ("http://other.test/", ["10.0.0.1"]),
        ("http://own.test/", ["127.0.0.1", "10.0.0.1"]),
        ("http://own.test/", None),
        ("http://shop.test.evil.test/", ["10.0.0.1"]),
        ("http://10.0.0.8/", ["10.0.0.8"]),
    ],
)
def test_other_hosts_are_refused_where_verification_is_required(url, addresses):
    with pytest.raises(Refusal, match="targetUrl cannot be used: no verified domain covers"):
        check(url, addresses, "shop.test", "10.0.0.7")
    check(url, addresses, required=False)
