import pytest

from tm_cli.server.engine.journeys.cookies import MOST_COOKIES, CookieJar

NOW = 1_800_000_000.0  # 15 January 2027


class Browser:
    """A jar with a clock of its own, at one host."""

    def __init__(self, host: str = "shop.example") -> None:
        self.now = NOW
        self.host = host
        self.jar = CookieJar(lambda: self.now)

    def take(self, *values: str, path: str = "/", is_tls: bool = False) -> None:
        self.jar.take(values, self.host, path, is_tls=is_tls)

    def sends(self, path: str = "/", host: str | None = None, *, is_tls: bool = False) -> str:
        return self.jar.header(host or self.host, path, is_tls=is_tls)


def test_cookie_is_sent_back() -> None:
    browser = Browser()
    assert browser.sends() == ""
    browser.take("sid=abc; HttpOnly; SameSite=Lax", "lang=en")
    assert browser.sends("/cart?x=1") == "sid=abc; lang=en"


def test_newer_cookie_of_the_same_name_replaces_the_older_one() -> None:
    browser = Browser()
    browser.take("sid=1")
    browser.take("sid=2")
    assert browser.sends() == "sid=2"


def test_longer_path_comes_first_and_paths_are_whole_segments() -> None:
    browser = Browser()
    browser.take("a=1; Path=/", "a=2; Path=/shop")
    assert browser.sends("/shop/cart") == "a=2; a=1"
    assert browser.sends("/shop") == "a=2; a=1"
    assert browser.sends("/shopping") == "a=1"


def test_path_is_the_directory_of_the_request_unless_it_is_said() -> None:
    browser = Browser()
    browser.take("a=1", path="/shop/login?next=/x/y")
    browser.take("b=1; Path=relative", path="/login")
    assert browser.sends("/shop/cart") == "a=1; b=1"
    assert browser.sends("/other") == "b=1"


def test_secure_cookie_goes_over_tls_only() -> None:
    browser = Browser()
    browser.take("a=1; Secure", is_tls=True)
    browser.take("b=1; Secure", is_tls=False)
    assert browser.sends(is_tls=True) == "a=1"
    assert browser.sends() == ""


@pytest.mark.parametrize(
    "attribute",
    [
        "Max-Age=60",
        "Expires=Fri, 15 Jan 2027 08:01:00 GMT",
        "expires=Friday, 15-Jan-27 08:01:00 GMT",
        "Max-Age=60; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
    ],
)
def test_cookie_expires(attribute: str) -> None:
    browser = Browser()
    browser.take(f"a=1; {attribute}")
    assert browser.sends() == "a=1"
    browser.now += 61
    assert browser.sends() == ""


@pytest.mark.parametrize(
    "attribute", ["Max-Age=0", "Max-Age=-1", "Expires=Thu, 01 Jan 1970 00:00:00 GMT"]
)
def test_cookie_is_deleted_by_an_expiry_in_the_past(attribute: str) -> None:
    browser = Browser()
    browser.take("a=1")
    browser.take(f"a=; {attribute}")
    assert browser.sends() == ""


@pytest.mark.parametrize("attribute", ["Max-Age=soon", "Expires=tomorrow", "Expires="])
def test_invalid_expiry_is_ignored(attribute: str) -> None:
    browser = Browser()
    browser.take(f"a=1; {attribute}")
    assert browser.sends() == "a=1"


def test_cookie_of_a_host_is_not_sent_to_others() -> None:
    browser = Browser()
    browser.take("a=1")
    assert browser.sends(host="www.shop.example") == ""
    assert browser.sends(host="example") == ""


def test_cookie_of_a_domain_is_sent_to_the_hosts_below() -> None:
    browser = Browser("www.shop.example")
    browser.take("a=1; Domain=.Shop.example")
    assert browser.sends(host="shop.example") == "a=1"
    assert browser.sends(host="api.shop.example") == "a=1"
    assert browser.sends(host="myshop.example") == ""


@pytest.mark.parametrize("domain", ["other.example", "example", "op.example", "a.shop.example"])
def test_cookie_for_a_foreign_domain_is_ignored(domain: str) -> None:
    browser = Browser()
    browser.take(f"a=1; Domain={domain}")
    assert browser.sends() == ""


def test_domain_of_an_address_is_the_address() -> None:
    browser = Browser("127.0.0.1")
    browser.take("a=1; Domain=0.0.1", "b=1; Domain=127.0.0.1")
    assert browser.sends() == "b=1"


@pytest.mark.parametrize("text", ["", "a", "=1", ";", "a=" + "x" * 5000])
def test_what_is_no_cookie_is_ignored(text: str) -> None:
    browser = Browser()
    browser.take(text)
    assert browser.sends() == ""


def test_number_of_cookies_is_bounded() -> None:
    browser = Browser()
    browser.take(*[f"c{number}=1" for number in range(10 * MOST_COOKIES)])
    assert len(browser.sends().split("; ")) == MOST_COOKIES
    browser.take("c0=2")
    assert "c0=2" in browser.sends()
