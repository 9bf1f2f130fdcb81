"""Locustfiles in profiles and starts: which files a server plays, and for whom."""

import json
import os

import pytest

from tests.unit.server.running_server import Api, body
from tm_cli.runtime.locustfile import UnusableLocustfile, check_trusted, hash_of

pytestmark = pytest.mark.process
SHOP = "from locust import HttpUser\n"
SHA256 = hash_of(SHOP.encode())
needs_modes = pytest.mark.skipif(os.name != "posix", reason="others cannot be kept out by modes")


@pytest.fixture
def shop(tmp_path):
    path = tmp_path / "project" / "shop.py"
    path.parent.mkdir(mode=0o700)
    path.write_text(SHOP, encoding="utf-8")
    return path


def reference(**changes):
    return {"file": "shop.py", "sha256": SHA256, **changes}


def source(path, **changes):
    return {"path": str(path), "directory": str(path.parent), "variables": {}, **changes}


def job_of(log):
    return json.loads(log.read_text().splitlines()[0])["job"]


def test_the_load_generator_gets_the_place_and_the_disk_nothing_of_it(api, shop, tmp_path, server):
    log = tmp_path / "log"
    asked = reference(env=["TOKEN"], tags=["buy"], timeout=20.0, **{"class": ["Shopper"]})
    profile_id = api.save(script=f"log={log}", locustfile=asked)
    variables = {"TOKEN": "secret-7", "NOT_ASKED_FOR": "secret-8"}
    api.start(profile_id, locustfile=source(shop, variables=variables))
    api.until_status(profile_id, "COMPLETED")
    job = job_of(log)
    assert job["visit_timeout"] == 20.0
    place = job["locustfile"].pop("place")
    assert (place["path"], place["directory"]) == (str(shop), str(shop.parent))
    assert place["variables"] == {"TOKEN": "secret-7"}
    assert not place["allow_public"]
    assert place["own_ports"]
    assert job["locustfile"]["classes"] == ["Shopper"]
    stored = b"".join(path.read_bytes() for path in (tmp_path / "data").iterdir())
    assert b"secret-7" not in stored
    assert str(shop.parent).encode() not in stored
    exported = api.get(f"/profiles/{profile_id}/export").json()["locustfile"]
    assert exported == asked


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, "is not on the machine that sends the load; start the run with the file"),
        ({"path": "missing.py"}, "No such file"),
        ({"path": "changed.py"}, f"that of the profile {SHA256}"),
        ({"path": "folder.py"}, "is not a regular file"),
        ({"path": "shop.py", "directory": "missing"}, "No such file"),
        ({"path": "shop.py", "directory": "open"}, "other users may write to"),
        ({"path": "written.py"}, "other users may write to"),
        ({"path": "open/shop.py"}, "other users may write to"),
    ],
)
@needs_modes
def test_a_file_that_is_not_to_be_played_starts_nothing(shared_api, shop, changes, message):
    api, here = shared_api, shop.parent
    (here / "changed.py").write_text(SHOP + "# more\n", encoding="utf-8")
    (here / "folder.py").mkdir()
    (here / "written.py").write_text(SHOP, encoding="utf-8")
    (here / "written.py").chmod(0o666)
    (here / "open").mkdir()
    (here / "open" / "shop.py").write_text(SHOP, encoding="utf-8")
    (here / "open").chmod(0o777)
    profile_id = api.save(locustfile=reference())
    places = {name: str(here / place) for name, place in changes.items()}
    asked = {"locustfile": {"directory": str(here), **places}}
    answer = api.post(f"/profiles/{profile_id}/runs", json=asked if changes else {})
    assert answer.status_code == 400
    assert message in answer.json()["error"]
    assert api.rows() == []


@pytest.mark.parametrize("options", [{"hostnames": ("load.example",)}])
def test_a_server_for_other_machines_plays_only_what_its_owner_names(
    start_server, shop, tmp_path, options
):
    log = tmp_path / "log"
    server = start_server(**options)
    with server.client() as client:
        api = Api(client)
        profile_id = api.save(locustfile=reference())
        asked = {"locustfile": source(shop)}
        answer = api.post(f"/profiles/{profile_id}/runs", json=asked)
    assert answer.status_code == 400
    assert "`tm serve --locustfile FILE`" in answer.json()["error"]
    server = start_server(tmp_path / "other", locustfiles=[shop], **options)
    with server.client() as client:
        api = Api(client)
        profile_id = api.save(script=f"log={log}", locustfile=reference())
        other = api.save("other", locustfile=reference(sha256="0" * 64))
        api.start(profile_id)
        api.until_status(profile_id, "COMPLETED")
        answer = api.post(f"/profiles/{other}/runs")
    assert job_of(log)["locustfile"]["place"]["path"] == str(shop)
    assert f"it has shop.py ({SHA256}), as they are now" in answer.json()["error"]


def test_another_locustfile_has_no_baseline_and_the_same_has(api, shop):
    other = shop.parent / "other.py"
    other.write_text(SHOP + "# other\n", encoding="utf-8")
    hashes = {shop: SHA256, other: hash_of(other.read_bytes())}
    judged = []
    for path in (shop, shop, other):
        profile_id = api.save(locustfile=reference(sha256=hashes[path]))
        run_id = api.start(profile_id, locustfile=source(path))
        judged.append(api.judged(run_id))
    _, second, third = judged
    assert second["autoVerdict"] == "PASS"
    assert third["autoVerdict"] == "NO_BASELINE"
    assert "another locustfile" in json.dumps(third)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"sha256": "abc"}, "locustfile.sha256"),
        ({"file": "shop.txt"}, "locustfile.file"),
        ({"env": ["TM_API_KEY"]}, "locustfile.env"),
        ({"timeout": 0}, "locustfile.timeout"),
        ({"path": "/etc/shop.py"}, "locustfile.path"),
    ],
)
def test_what_cannot_be_a_locustfile_is_not_stored(shared_api, changes, field):
    answer = shared_api.post("/profiles", json=body("x", "", locustfile=reference(**changes)))
    assert answer.status_code == 400
    assert field in answer.json()["error"]


def test_statuses_are_the_business_of_the_file(api, shop):
    profile_id = api.save(locustfile=reference(), gate={"expectStatus": [200]})
    answer = api.post(f"/profiles/{profile_id}/runs", json={"locustfile": source(shop)})
    assert answer.status_code == 400
    assert "catch_response" in answer.json()["error"]


@needs_modes
@pytest.mark.parametrize(("mode", "is_fine"), [(0o644, True), (0o664, True), (0o646, False)])
def test_a_group_of_the_users_own_may_write(shop, mode, is_fine):
    os.chown(shop, -1, os.getegid())
    shop.chmod(mode)
    try:
        check_trusted(shop, {})
    except UnusableLocustfile:
        assert not is_fine
    else:
        assert is_fine
