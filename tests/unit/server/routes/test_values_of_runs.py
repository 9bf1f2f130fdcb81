"""Values that a start brings reach the load generator alone; data is checked when it is saved."""

import json

import pytest
import trustme

from tests.unit.server.routes.test_run_routes import job_of
from tests.unit.server.running_server import body, eventually

pytestmark = pytest.mark.process

SECRET = "s3cret-t0ken"
HEADERS = json.dumps([{"name": "Authorization", "value": "Bearer ${TOKEN}"}])


def played(api, log, asked, **fields):
    profile_id = api.save(name=log.name, script=f"log={log}", **fields)
    api.start(profile_id, **asked)
    api.until_status(profile_id, "COMPLETED")
    return job_of(log)


def test_the_load_generator_alone_gets_the_values(api, tmp_path):
    job = played(
        api,
        tmp_path / "log",
        {"values": {"TOKEN": SECRET}},
        requestHeaders=HEADERS,
        requestBody="$${TOKEN} ${NONE:-default}",
    )
    assert job["headers"] == [["Authorization", f"Bearer {SECRET}"]]
    assert job["body"] == "${TOKEN} default"
    assert "values" not in job
    [row] = api.rows()
    shown = [
        api.get("/profiles/1"),
        api.get("/profiles/1/export"),
        api.get(f"/history/{row['id']}"),
    ]
    assert SECRET not in "".join(answer.text for answer in shown)
    kept = [file for file in tmp_path.rglob("*") if file.is_file() and file.name != "log"]
    assert not [file for file in kept if SECRET.encode() in file.read_bytes()]


def test_names_of_steps_and_failures_hold_no_values(api, tmp_path):
    script = f"steps=GET%20/{SECRET}:20&fails={SECRET}Error:5"
    profile_id = api.save(script=script, requestHeaders=HEADERS)
    run_id = api.start(profile_id, values={"TOKEN": SECRET})
    detail = api.judged(run_id)
    assert detail["steps"][0]["name"] == "GET /${TOKEN}"
    assert json.loads(detail["responseCodes"])["${TOKEN}Error"] == 20
    shown = {**detail, "targetUrl": "", "latencySeries": ""}
    assert SECRET not in json.dumps(shown) + json.dumps(api.status(profile_id))


def test_a_part_of_the_address_may_come_with_the_start(api, tmp_path):
    log = tmp_path / "log"
    profile_id = api.save(targetUrl=f"${{BASE}}/?log={log}")
    assert api.get(f"/profiles/{profile_id}").json()["targetUrl"] == f"${{BASE}}/?log={log}"
    api.start(profile_id, values={"BASE": "http://127.0.0.1:9"})
    api.until_status(profile_id, "COMPLETED")
    assert job_of(log)["target_url"] == f"http://127.0.0.1:9/?log={log}"
    [row] = api.rows()
    assert api.get(f"/history/{row['id']}").json()["targetUrl"].startswith("${BASE}/")


@pytest.mark.parametrize(
    ("base", "reason"),
    [
        (None, "The profile uses ${BASE} has no value"),
        ("http://8.8.8.8", "is public"),
        ("http://169.254.169.254", "blocked"),
        ("ftp://127.0.0.1", "must be an absolute http or https URL"),
        ("ws://127.0.0.1", "WebSocket (ws://) is not supported yet"),
        ("http://u:s3cret@127.0.0.1", "carries credentials"),
        ("http://a b", "must not contain blanks"),
    ],
)
def test_what_comes_with_the_start_is_judged_like_the_rest(api, base, reason):
    profile_id = api.save(targetUrl="${BASE}/")
    values = {} if base is None else {"BASE": base}
    answer = api.post(f"/profiles/{profile_id}/runs", json={"values": values})
    assert answer.status_code == 400
    assert reason in answer.json()["error"]
    assert "s3cret" not in answer.text


def test_a_refusal_hides_the_values(api):
    profile_id = api.save(targetUrl="http://${HOST}/")
    answer = api.post(f"/profiles/{profile_id}/runs", json={"values": {"HOST": "metadata"}})
    assert answer.json()["error"] == "targetUrl: the host ${HOST} is blocked"


def test_what_a_load_generator_says_is_kept_without_the_values(api):
    profile_id = api.save(script="mode=fail", requestHeaders=HEADERS)
    row = api.row_of(api.start(profile_id, values={"TOKEN": "curve"}))
    assert "the ${TOKEN} makes no sense" in row["autoVerdictReasons"]


def test_loads_with_other_data_or_protocol_are_not_compared(api):
    for fields in ({}, {"data": [{"name": "a", "csv": "a\n1"}]}, {"httpVersion": "2"}):
        profile_id = api.save("one", **fields)
        api.judged(api.start(profile_id))
    rows = [row["autoVerdictReasons"] for row in api.rows()]
    assert "another data and version of HTTP" in str(rows[0])
    assert "another data" in str(rows[1])


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ([{"name": "a", "csv": "a,b\n1"}], "a: line 2 has 1 value"),
        ([{"name": "a", "csv": "a\n1"}, {"name": "b", "csv": "a\n1"}], "the column a twice"),
        ([{"name": "a", "csv": "a\n1", "mode": "ANY"}], "data"),
        ([{"name": "a", "csv": "a\n" + "1" * 90_000 + "\n" * 3_950_000}], "at most 4,000,000"),
        ([{"name": "a"}], "data"),
        ("a.csv", "data"),
    ],
)
def test_data_that_cannot_be_read_is_not_saved(api, data, reason):
    answer = api.post("/profiles", json=body("shop", data=data))
    assert answer.status_code == 400
    assert reason in answer.json()["error"]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"requestBody": "$$b$$"}, "requestBody uses $$b$$: no data set has that column"),
        ({"targetUrl": "http://127.0.0.1/$$b$$"}, "targetUrl uses $$b$$: no data set"),
        ({"targetUrl": "http://$$a$$/"}, "targetUrl uses $$a$$ before its path"),
        ({"data": [], "requestBody": "$$a$$"}, "requestBody uses $$a$$: the profile has no data"),
    ],
)
def test_a_macro_that_nothing_fills_in_is_refused(api, fields, reason):
    profile_id = api.save(**{"data": [{"name": "a", "csv": "a\n1"}], **fields})
    answer = api.post(f"/profiles/{profile_id}/runs", json={})
    assert answer.json()["error"] == reason or reason in answer.json()["error"]


def test_data_comes_back_as_it_was_saved(api):
    data = [{"name": "users.csv", "mode": None, "csv": "user\nann\n"}]
    profile_id = api.save("shop", data=data, httpVersion="2")
    document = api.get(f"/profiles/{profile_id}/export").json()
    assert (document["data"], document["httpVersion"]) == (data, "2")
    assert api.post("/profiles/import", json={**document, "name": "other"}).status_code == 201
    plain = api.get(f"/profiles/{api.save('plain')}/export").json()
    assert not {"data", "httpVersion", "clientCertificate"} & plain.keys()


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    directory = tmp_path_factory.mktemp("certificates")
    for name in ("client", "other"):
        issued = trustme.CA().issue_cert(f"{name}@shop.example")
        issued.private_key_pem.write_to_path(directory / f"{name}-key.pem")
        issued.cert_chain_pems[0].write_to_path(directory / f"{name}.pem")
        (directory / f"{name}-key.pem").chmod(0o600)
        (directory / f"{name}.pem").chmod(0o644)
    (directory / "open.pem").write_bytes((directory / "client-key.pem").read_bytes())
    (directory / "open.pem").chmod(0o666)
    return directory


@pytest.mark.parametrize(
    ("cert", "key", "reason"),
    [
        ("client.pem", "other-key.pem", "other-key.pem is not the key of"),
        ("client.pem", "client.pem", "hold no certificate and key in PEM"),
        ("client.pem", "nothing.pem", "nothing.pem cannot be read on this machine: No such file"),
        ("client.pem", "open.pem", "open.pem can be written by other users"),
        ("", "client-key.pem", "is not a file"),
    ],
)
def test_a_client_certificate_is_checked_when_a_run_starts(api, files, cert, key, reason):
    certificate = {"cert": str(files / cert), "key": str(files / key)}
    profile_id = api.save(targetUrl="https://127.0.0.1:9/", clientCertificate=certificate)
    answer = api.post(f"/profiles/{profile_id}/runs", json={})
    assert answer.status_code == 400
    assert reason in answer.json()["error"]


def test_a_client_certificate_is_for_https_and_has_no_password_of_its_own(api, files):
    certificate = {"cert": str(files / "client.pem"), "key": str(files / "client-key.pem")}
    profile_id = api.save(clientCertificate=certificate)
    answer = api.post(f"/profiles/{profile_id}/runs", json={})
    assert "only an https target asks" in answer.json()["error"]
    plain = body("shop", clientCertificate={**certificate, "password": SECRET})
    answer = api.post("/profiles", json=plain)
    assert answer.status_code == 400
    assert SECRET not in answer.text


def test_only_renewable_values_of_the_run_can_be_renewed(api, tmp_path):
    log = tmp_path / "log"
    checks = {"body": {"lacks": "${TOKEN}"}}
    profile_id = api.save(script=f"mode=hold&log={log}", requestHeaders=HEADERS, checks=checks)
    run_id = api.start(profile_id, values={"TOKEN": SECRET}, renewable=["TOKEN"])
    path = f"/profiles/{profile_id}/runs/{run_id}/values"
    eventually(log.exists)
    assert api.put(path, json={"values": {"TOKEN": "new"}}).status_code == 204
    assert api.put(path, json={"values": {"OTHER": "new"}}).status_code == 400
    assert api.put(path.replace(run_id, "other"), json={"values": {}}).status_code == 400
    api.post(f"/profiles/{profile_id}/stop")
    assert job_of(log)["headers"] == [["Authorization", "Bearer $$=TOKEN$$"]]
    assert job_of(log)["checks"]["body"] == {"lacks": SECRET}
    assert job_of(log)["tokens"] == {"=TOKEN": SECRET}


def test_a_value_with_a_macro_is_refused_and_not_shown(api):
    profile_id = api.save(requestHeaders=HEADERS)
    answer = api.post(f"/profiles/{profile_id}/runs", json={"values": {"TOKEN": "a$$s3cret$$b"}})
    assert answer.status_code == 400
    assert answer.json()["error"].startswith("${TOKEN}: its value has a text")
    assert "s3cret" not in answer.text
