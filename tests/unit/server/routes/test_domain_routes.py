import pytest

from tests.unit.server.domains.name_server import threaded_name_server
from tests.unit.server.running_server import serving

ZONE: dict[str, tuple[str, list[str]]] = {}


@pytest.fixture(scope="module")
def dns():
    """A name server; tests fill in its zone."""
    with threaded_name_server(ZONE) as address:
        yield address


@pytest.fixture(scope="module")
def api(dns, tmp_path_factory):
    with serving(
        tmp_path_factory.mktemp("domains") / "data",
        dns_server=dns,
        web_ports=(("http", 9),),
        require_verified_domains=True,
    ) as api:
        yield api


def add(api, domain):
    answer = api.post("/domains", json={"domain": domain})
    assert answer.status_code == 201, answer.text
    return answer.json()


def refusal(answer):
    assert answer.status_code == 400, answer.text
    return answer.json()["error"]


def test_a_domain_is_added_once_and_keeps_its_token(api):
    first = add(api, "Shop.test")
    assert first == add(api, "shop.test.")
    assert first == {
        "id": first["id"],
        "domain": "shop.test",
        "verificationToken": first["verificationToken"],
        "verificationMethod": None,
        "verified": False,
        "createdAt": first["createdAt"],
        "dnsInstruction": first["dnsInstruction"],
        "httpInstruction": first["httpInstruction"],
    }
    assert first in api.get("/domains").json()
    token = first["verificationToken"]
    assert token.startswith("tm-verify-")
    assert "_trafficmorph-verify.shop.test" in first["dnsInstruction"]
    assert "https://shop.test/.well-known/trafficmorph-verify.txt" in first["httpInstruction"]
    assert token in first["dnsInstruction"]
    assert token in first["httpInstruction"]


@pytest.mark.parametrize("given", ["", " ", "http://a.test", None, 7, ["a.test"]])
def test_what_is_no_bare_host_is_refused_and_not_saved(api, given):
    before = api.get("/domains").json()
    assert refusal(api.post("/domains", json={"domain": given})).startswith("domain: ")
    assert refusal(api.post("/domains", json={})).startswith("domain: ")
    assert api.get("/domains").json() == before


def test_verification_by_dns_fails_until_the_record_is_there_and_then_stays(api):
    domain = add(api, "verified.test")
    url, token = f"/domains/{domain['id']}/verify/dns", domain["verificationToken"]
    missed = refusal(api.post(url))
    assert "_trafficmorph-verify.verified.test" in missed
    assert token in missed
    assert add(api, "verified.test") == domain

    ZONE["_trafficmorph-verify.verified.test"] = ("TXT", [f'"{token}"'])
    done = api.post(url).json()
    assert (done["verified"], done["verificationMethod"]) == (True, "DNS")
    assert done["verifiedAt"] >= done["createdAt"]

    ZONE.clear()
    assert api.post(url).json() == done
    assert api.post(f"/domains/{domain['id']}/verify/http").json() == done
    assert add(api, "verified.test") == done


def test_verification_by_http_says_what_was_expected(api):
    domain = add(api, "localhost")
    missed = refusal(api.post(f"/domains/{domain['id']}/verify/http"))
    assert "https://localhost/.well-known/trafficmorph-verify.txt" in missed
    assert domain["verificationToken"] in missed


def test_a_removed_domain_is_unknown(api):
    domain = add(api, "gone.test")
    assert api.delete(f"/domains/{domain['id']}").status_code == 204
    for send, path in (
        (api.delete, ""),
        (api.post, "/verify/dns"),
        (api.post, "/verify/http"),
    ):
        assert refusal(send(f"/domains/{domain['id']}{path}")) == "Domain not found"
    again = add(api, "gone.test")
    assert again["id"] > domain["id"]
    assert again["verificationToken"] != domain["verificationToken"]


@pytest.mark.process
def test_runs_start_only_where_domains_are_verified(api):
    assert api.get("/account").json()["features"]["domainVerificationRequired"] is True
    profile = api.save("private", targetUrl="http://10.255.255.1/")
    missing = refusal(api.post(f"/profiles/{profile}/runs", json={}))
    assert missing.startswith("targetUrl cannot be used: no verified domain covers 10.255.255.1")

    for field in ("readinessUrl", "againstUrl"):
        url = "http://10.255.255.1:8080/"
        own = {"readinessUrl": url} if field == "readinessUrl" else {}
        start = {"againstUrl": url} if field == "againstUrl" else {}
        profile = api.save(field, **own)
        found = refusal(api.post(f"/profiles/{profile}/runs", json=start))
        assert found.startswith(f"{field} cannot be used: no verified domain covers")

    steps = [{"request": "GET http://10.255.255.1/x"}]
    profile = api.save("steps", targetUrl="http://127.0.0.1:9/", steps=steps)
    found = refusal(api.post(f"/profiles/{profile}/runs", json={}))
    assert "steps: http://10.255.255.1/ cannot be used: no verified domain covers" in found

    profile = api.save("loopback")
    api.start(profile)
    api.post(f"/profiles/{profile}/stop")


def test_without_the_option_nothing_has_to_be_verified(shared_api):
    assert shared_api.get("/account").json()["features"]["domainVerificationRequired"] is False
