"""What NO_PROXY excludes, in the spellings that curl, Go and Python know."""

import pytest

from tm_cli.values.proxy import choose_proxy, matching_entry


@pytest.mark.parametrize(
    ("entry", "url"),
    [
        ("tm.example", "https://tm.example/"),
        ("tm.example", "https://api.tm.example/"),
        ("TM.Example.", "https://tm.example/"),
        ("tm.example", "https://TM.example./api"),
        (".tm.example", "https://api.tm.example/"),
        (".tm.example", "https://tm.example/"),
        ("*.tm.example", "https://a.b.tm.example/"),
        ("tm.example:443", "https://tm.example/"),
        ("tm.example:8443", "https://tm.example:8443/"),
        ("10.1.2.3", "https://10.1.2.3/"),
        ("10.1.2.3:8443", "https://10.1.2.3:8443/"),
        ("10.0.0.0/8", "https://10.255.0.1:8443/"),
        ("10.9.9.9/8", "https://10.1.2.3/"),
        ("10.0.0.0/8", "https://[::ffff:10.1.2.3]/"),
        ("fd00::1", "https://[fd00::1]/"),
        ("FD00:0:0::1", "https://[fd00::1]:8443/"),
        ("[fd00::1]", "https://[fd00::1]/"),
        ("[fd00::1]:8443", "https://[fd00::1]:8443/"),
        ("fd00::/8", "https://[fd12:3456::1]/"),
        ("*", "https://tm.example/"),
        ("https://tm.example", "https://tm.example/"),
    ],
)
@pytest.mark.parametrize("around", ["{}", "other.example,{}", " a b, {} ,c ,", "x;{}"])
def test_entry_is_honoured(around, entry, url):
    assert matching_entry(url, around.format(entry)) == entry
    environ = {"HTTPS_PROXY": "http://p:1", "NO_PROXY": around.format(entry)}
    found = choose_proxy(url, environ)
    assert (found.proxy, found.exception) == (None, f"{entry} in NO_PROXY")


@pytest.mark.parametrize(
    ("entry", "url"),
    [
        ("tm.example", "https://nottm.example/"),
        ("tm.example", "https://tm.example.org/"),
        ("*.tm.example", "https://tm.example/"),
        ("*.tm.example", "https://atm.example/"),
        ("tm.example:8443", "https://tm.example/"),
        ("10.0.0.0/8", "https://11.0.0.1/"),
        ("10.0.0.0/8", "https://tm.example/"),
        ("10.0.0.0/8", "https://10.0.0.0.example/"),
        ("10.1.2.3:1", "https://10.1.2.3/"),
        ("0.1.2.3", "https://10.1.2.3/"),
        ("fd00::/8", "https://[2001:db8::1]/"),
        ("10.0.0.0/99", "https://10.0.0.1/"),
        ("/8", "https://10.0.0.1/"),
        ("", "https://tm.example/"),
        (".", "https://tm.example/"),
        ("*.", "https://tm.example/"),
        (":443", "https://tm.example/"),
        ("[", "https://tm.example/"),
        ("[::1", "https://[fd00::1]/"),
        ("tm.example:https", "https://tm.example/"),
        ("2.3", "https://10.1.2.3/"),
    ],
)
def test_entry_for_something_else_changes_nothing(entry, url):
    assert matching_entry(url, entry) is None
    assert choose_proxy(url, {"HTTPS_PROXY": "http://p:1", "NO_PROXY": entry}).proxy is not None
