import asyncio
import ipaddress
from contextlib import nullcontext

import pytest

from tm_cli.server.targets import (
    TargetRule,
    address_refusal,
    is_own_address,
    literal_refusal,
)
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
        ("100.64.0.1", True),
        ("100.127.255.254", True),
        ("198.18.0.1", True),
        ("198.19.255.254", True),
        ("::100.64.0.1", True),
        ("198.20.0.1", False),
        ("192.0.2.1", False),
        ("::a9fe:a9fe", False),
        ("64:ff9b:1::a9fe:a9fe", False),
        ("fd00:ec2::23", False),
        ("fd20:ce::254", False),
        ("168.63.129.16", False),
        ("192.0.0.192", False),
        ("fec0::1", False),
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
        ("168.63.129.16", False),
        ("192.0.0.192", False),
        ("::ffff:168.63.129.16", False),
        ("64:ff9b:1::1", False),
        ("fec0::1", False),
    ],
)
def test_public_addresses_are_targets_when_allowed(address, fine):
    refusal = address_refusal(ipaddress.ip_address(address), allow_public=True)
    assert (refusal is None) is fine


@pytest.mark.parametrize(
    "address",
    [
        "8.8.8.8",
        "192.0.2.1",
        "203.0.113.9",
        "240.0.0.1",
        "0.1.2.3",
        "2001:db8::1",
        "fec0::1",
        "168.63.129.16",
    ],
)
def test_only_what_the_switch_permits_is_said_to_be_permitted_by_it(address):
    address = ipaddress.ip_address(address)
    is_said = "would permit" in address_refusal(address, allow_public=False)
    assert is_said is (address_refusal(address, allow_public=True) is None)


@pytest.mark.parametrize(
    ("host", "blocked"),
    [
        ("metadata.google.internal", True),
        ("METADATA.google.internal.", True),
        ("169.254.1.1", True),
        ("169.254.1.1.", True),
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
    for address in ("127.0.0.1", "127.8.8.8", "::1", "192.168.1.4", "::ffff:192.168.1.4"):
        with pytest.raises(Refusal, match="this server itself"):
            check(url, [address], is_own=lambda found: str(found) == "192.168.1.4")
    check(url, ["192.168.1.5"], is_own=lambda found: False)


def test_an_address_is_own_when_the_system_says_so():
    assert is_own_address(ipaddress.ip_address("127.0.0.1"))
    assert not is_own_address(ipaddress.ip_address("192.0.2.77"))


@pytest.mark.parametrize(
    ("url", "addresses", "refused"),
    [
        ("https://load.test:8092/", ["10.0.0.7"], True),
        ("https://other.test:8092/", ["10.0.0.8", "10.0.0.7"], True),
        ("https://other.test:8092/", ["10.0.0.8"], False),
        ("https://load.test/", ["10.0.0.7"], False),
    ],
)
def test_an_agent_does_not_load_its_own_server(url, addresses, refused):
    found = {"load.test": ["10.0.0.7"], "other.test": addresses}

    async def resolve(host, port):
        return found[host]

    rule = TargetRule(resolve=resolve, server="https://load.test:8092/", is_own=lambda _: False)
    with pytest.raises(Refusal, match="server of this agent") if refused else nullcontext():
        asyncio.run(rule.check(url))


def test_an_agent_on_the_servers_machine_knows_it_by_any_address():
    async def resolve(host, port):
        return ["10.0.0.7"] if host == "load.test" else ["127.0.0.1"]

    rule = TargetRule(
        resolve=resolve,
        server="https://load.test:8092/",
        is_own=lambda address: str(address) == "10.0.0.7",
    )
    with pytest.raises(Refusal, match="server of this agent"):
        asyncio.run(rule.check("https://localhost:8092/"))


def test_an_international_name_is_looked_up_as_browsers_do():
    asked = []

    async def resolve(host, port):
        asked.append(host)
        return ["10.0.0.1"]

    asyncio.run(TargetRule(resolve=resolve).check("http://fa\u00df.test/"))
    assert asked == ["xn--fa-hia.test"]


def test_ports_follow_the_scheme():
    with pytest.raises(Refusal, match="this server itself"):
        asyncio.run(_rule_on(80).check("http://a.test/"))
    asyncio.run(_rule_on(80).check("https://a.test/"))


def _rule_on(port):
    async def resolve(host, port):
        return ["127.0.0.1"]

    return TargetRule({port}, resolve=resolve)
