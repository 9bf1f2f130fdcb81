import asyncio
import ipaddress

import pytest

from tm_cli.server.targets import TargetRule, address_refusal, literal_refusal
from tm_cli.server.web.bodies import Refusal

OWN_PORT = 8092


@pytest.mark.parametrize(
    ("address", "fine"),
    [
        ("127.0.0.1", True),
        ("127.255.0.9", True),
        ("10.1.2.3", True),
        ("172.16.0.1", True),
        ("172.31.255.255", True),
        ("192.168.1.1", True),
        ("::1", True),
        ("fd12:3456::1", True),
        ("::ffff:10.1.2.3", True),
        ("172.32.0.1", False),
        ("8.8.8.8", False),
        ("2001:4860:4860::8888", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("::", False),
        ("169.254.169.254", False),
        ("fe80::1", False),
        ("::ffff:169.254.169.254", False),
        ("64:ff9b::a9fe:a9fe", False),
        ("2002:a9fe:a9fe::1", False),
        ("100.100.100.200", False),
        ("fd00:ec2::254", False),
        ("224.0.0.1", False),
        ("ff02::1", False),
        ("255.255.255.255", False),
    ],
)
def test_loopback_and_private_addresses_are_targets(address, fine):
    refusal = address_refusal(ipaddress.ip_address(address), allow_public=False)
    assert (refusal is None) is fine


@pytest.mark.parametrize(
    ("address", "fine"),
    [
        ("8.8.8.8", True),
        ("2001:4860:4860::8888", True),
        ("10.0.0.1", True),
        ("169.254.169.254", False),
        ("100.100.100.200", False),
        ("fd00:ec2::254", False),
        ("0.0.0.0", False),
        ("240.0.0.1", False),
        ("239.1.1.1", False),
    ],
)
def test_public_addresses_are_targets_when_allowed(address, fine):
    refusal = address_refusal(ipaddress.ip_address(address), allow_public=True)
    assert (refusal is None) is fine


@pytest.mark.parametrize(
    ("host", "blocked"),
    [
        ("metadata.google.internal", True),
        ("METADATA.google.internal.", True),
        ("169.254.1.1", True),
        ("fe80::1%eth0", True),
        ("::ffff:169.254.169.254", True),
        ("example.test", False),
        ("8.8.8.8", False),
    ],
)
def test_saving_looks_at_literal_hosts_only(host, blocked):
    assert (literal_refusal(host) is not None) is blocked


def check(url, addresses, **options):
    async def resolve(host, port):
        if not addresses:
            raise OSError("Name or service not known")
        return addresses

    asyncio.run(TargetRule({OWN_PORT}, resolve=resolve, **options).check(url))


def test_every_address_behind_a_name_must_be_fine():
    check("http://shop.test/", ["10.0.0.1", "::1"])
    with pytest.raises(Refusal, match="link-local"):
        check("http://shop.test/", ["10.0.0.1", "169.254.169.254"])


def test_the_addresses_that_were_judged_are_reported():
    async def resolve(host, port):
        return ["10.0.0.1", "::1"]

    rule = TargetRule(resolve=resolve)
    assert asyncio.run(rule.check("http://shop.test/")) == ["10.0.0.1", "::1"]


def test_for_another_host_only_what_is_written_is_judged():
    rule = TargetRule()
    assert rule.check_literally("https://shop.test/") == ("shop.test", 443)
    assert rule.check_literally("http://8.8.8.8:81/") == ("8.8.8.8", 81)
    for url in ("http://169.254.169.254/", "http://user@shop.test/"):
        with pytest.raises(Refusal):
            rule.check_literally(url)


def test_a_name_that_does_not_resolve_is_refused():
    with pytest.raises(Refusal, match=r"shop\.test does not resolve: Name or service"):
        check("http://shop.test/", [])


def test_a_resolver_without_answer_is_given_up():
    async def resolve(host, port):
        await asyncio.Event().wait()

    rule = TargetRule({OWN_PORT}, resolve=resolve, resolve_timeout=0.01)
    with pytest.raises(Refusal, match="no answer in time"):
        asyncio.run(rule.check("http://shop.test/"))


@pytest.mark.parametrize("url", ["http://a.test:8092/", "https://a.test:8092/x"])
def test_the_server_is_no_target_under_any_name(url):
    with pytest.raises(Refusal, match="this server itself"):
        check(url, ["127.0.0.1"])
    check(url, ["192.168.1.5"])


def test_ports_follow_the_scheme():
    with pytest.raises(Refusal, match="this server itself"):
        asyncio.run(_rule_on(80).check("http://a.test/"))
    asyncio.run(_rule_on(80).check("https://a.test/"))


def _rule_on(port):
    async def resolve(host, port):
        return ["127.0.0.1"]

    return TargetRule({port}, resolve=resolve)
