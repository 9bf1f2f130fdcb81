"""What a profile document names on this machine: data, a certificate, a command."""

from __future__ import annotations

from typing import Any

import pytest

from tm_cli.backends.trafficmorph.document_files import uploaded
from tm_cli.backends.trafficmorph.profile_documents import portable, read_document
from tm_cli.errors import ConfigurationError

TEXT = """name: shop
endpointUrl: https://shop.example/$$id$$
duration: 1m
points: [[0, 5], [60, 5]]
"""


@pytest.fixture
def refusal(tmp_path):
    (tmp_path / "users.csv").write_text("id,user\n1,ann\n")
    (tmp_path / "ragged.csv").write_text("id,user\n1,ann\n2\n")
    (tmp_path / "latin.csv").write_bytes(b"id\n1\n\xff\n")
    (tmp_path / "folder").mkdir()
    path = tmp_path / "shop.yaml"

    def read(lines: str) -> str:
        path.write_text(TEXT + lines + "\n")
        with pytest.raises(ConfigurationError) as refused:
            read_document(path)
        assert f"{path}, line 5" in refused.value.message
        return refused.value.message

    return read


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ("data: nope.csv", "data[0] nope.csv is not a file, relative to the document"),
        ("data: folder", "folder is not a file"),
        ("data: ragged.csv", "data[0] ragged.csv: line 3 has 1 value; line 1 names 2 columns"),
        ("data: latin.csv", "latin.csv is not UTF-8 text, line 3"),
        ("data: [users.csv, users.csv]", "data has the column id twice"),
        ("data: [{file: users.csv, mod: ROW}]", "unknown key 'mod'; did you mean mode?"),
        ("data: {file: users.csv, mode: RANDOM}", "is none of ROW, COLUMN, SEQUENTIAL"),
        ("data: {file: users.csv, mode: row}", "mode ROW needs a column `weight`"),
        ("data: {name: users}", "data[0] names no file"),
        ("data: 5", "data[0] is not a file such as users.csv"),
        ("clientCertificate: {key: k.pem}", "clientCertificate has no `cert`"),
        ("clientCertificate: {crt: c.pem}", "unknown key 'crt'; did you mean cert?"),
        ("clientCertificate: {cert: c.pem, password: x}", "is not a placeholder"),
        ("clientCertificate: 5", "is not {cert: client.pem, key: client-key.pem}"),
        ("tokenCommand: ./token.sh", "tokenCommand has no use: no value has ${TOKEN}"),
        ("tokenCommand: []", "tokenCommand is not a command"),
        ("tokenCommand: [5]", "tokenCommand is not a command"),
        ("tokenRefresh: 10m", "tokenRefresh needs a tokenCommand"),
        ("tokenRefresh: 1s", "tokenRefresh is '1s'; expected 10s or more"),
        ("httpVersion: 3", "httpVersion is 3; expected 1.1 or 2"),
        ("httpVersion: true", "httpVersion is true; expected 1.1 or 2"),
        ("requestPayload: 'a ${b c}'", "requestPayload has `${` without a NAME and `}`"),
        ("requestHeaders: {A: '${'}", "requestHeaders.A has `${` without a NAME and `}`"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_line(refusal, lines, problem):
    assert problem in refusal(lines)


def document(**keys: Any) -> dict[str, Any]:
    curve = {"name": "shop", "duration": 60, "points": [[0, 5], [60, 5]]}
    return {**curve, "endpointUrl": "https://shop.example/", **keys}


def test_the_text_of_a_file_travels_in_the_profile(tmp_path):
    (tmp_path / "users.csv").write_bytes(b"\xef\xbb\xbfid,weight\r\n1,2\r\n")
    csv = "id,weight\r\n1,2\r\n"
    found = portable(document(data="users.csv"), tmp_path)["data"]
    assert found == [{"name": "users.csv", "csv": csv}]
    columns = {"file": "users.csv", "mode": "column", "name": "ids"}
    found = portable(document(data=[columns]), tmp_path)["data"]
    assert found == [{"name": "ids", "csv": csv, "mode": "COLUMN"}]
    assert portable(document(data=found))["data"] == found


def test_paths_of_a_certificate_are_from_the_document(tmp_path):
    keys = {"cert": "client.pem", "key": "${KEY_FILE}", "password": "${PASSWORD}"}
    found = portable(document(clientCertificate=keys), tmp_path)["clientCertificate"]
    assert found == {**keys, "cert": str(tmp_path / "client.pem")}


def test_a_command_stays_on_this_machine(tmp_path):
    headers = {"Authorization": "Bearer ${TOKEN}"}
    asked = document(requestHeaders=headers, tokenCommand="./token.sh", tokenRefresh="10m")
    found = portable(asked, tmp_path)
    assert found["tokenCommand"] == {"command": "./token.sh", "directory": str(tmp_path)}
    assert found["tokenRefresh"] == 600
    assert not {"tokenCommand", "tokenRefresh"} & uploaded(found).keys()


def test_no_command_and_no_file_of_a_server_is_used():
    for key, value in {"tokenCommand": "./token.sh", "data": "/etc/passwd"}.items():
        with pytest.raises(ValueError, match=key):
            portable(document(**{key: value}))


@pytest.mark.parametrize(("written", "version"), [(1.1, "1.1"), (2, "2"), ("2", "2"), (2.0, "2")])
def test_versions_of_http(written, version):
    assert portable(document(httpVersion=written))["httpVersion"] == version
