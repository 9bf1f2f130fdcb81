import os
from pathlib import Path

import pytest

from checks.pages import blocks
from tests.unit.server.capture_sources.sftp_server import HOST_KEY, PASSWORD, USER_KEY
from tm_cli.errors import ConfigurationError
from tm_cli.server.capture_sources import configuration
from tm_cli.server.capture_sources.configuration import read_capture_sources

KNOWN = HOST_KEY.export_public_key().decode().strip()
S3 = """
[sources.logs]
kind = "S3"
bucket = "captures"
access_key_id_env = "LOGS_ID"
secret_access_key_env = "LOGS_SECRET"
"""
SFTP = f"""
[sources."staging host"]
kind = "sftp"
host = "sftp.example"
user = "ada"
password_env = "SFTP_PASSWORD"
host_key = "{KNOWN}"
"""
OF_THE_PAGE = {"LOGS_KEY_ID": "AKIA", "LOGS_SECRET_KEY": "x"}
ENVIRON = OF_THE_PAGE | {
    "LOGS_ID": "AKIASECRET",
    "LOGS_SECRET": "wJalrXUtnFEMI",
    "SFTP_PASSWORD": PASSWORD,
}


@pytest.fixture
def read(tmp_path):
    def read(text, mode=0o600):
        path = tmp_path / "sources.toml"
        path.write_text(text)
        path.chmod(mode)
        return read_capture_sources(path, ENVIRON)

    return read


def test_sources_get_their_credentials_from_variables(read):
    s3, sftp = read(S3 + SFTP)
    assert (s3.name, s3.kind, s3.root_path, s3.endpoint) == (
        "logs",
        "S3",
        None,
        "https://s3.us-east-1.amazonaws.com",
    )
    assert (s3.access_key_id, s3.secret_access_key) == ("AKIASECRET", "wJalrXUtnFEMI")
    assert (sftp.name, sftp.kind, sftp.port, sftp.password) == (
        "staging host",
        "SFTP",
        22,
        PASSWORD,
    )
    assert not any(value in f"{s3!r} {sftp!r}" for value in ENVIRON.values() if len(value) > 4)


def test_files_are_looked_up_next_to_the_configuration(read, tmp_path):
    (tmp_path / "id").write_bytes(USER_KEY.export_private_key("pkcs8-pem", "pass"))
    (tmp_path / "known").write_text(f"sftp.example {KNOWN}\n")
    own = SFTP.replace('password_env = "SFTP_PASSWORD"', 'private_key_file = "id"')
    own = own.replace(f'host_key = "{KNOWN}"', 'known_hosts_file = "known"\npassphrase = "pass"')
    [source] = read(own)
    assert source.private_key.convert_to_public() == USER_KEY.convert_to_public()
    assert source.host_keys.match("sftp.example", "", 22)[0]
    with pytest.raises(ConfigurationError, match=r"private_key_file: .*id: Unable to decrypt"):
        read(own.replace('"pass"', '"hunter2"'))


def test_the_example_of_the_page_is_a_usable_file(read, tmp_path):
    [example] = [block.text for block in blocks("toml") if "[sources." in block.text]
    (tmp_path / "id_ed25519").write_bytes(USER_KEY.export_private_key())
    assert [source.kind for source in read(example)] == ["S3", "SFTP"]


def changed(text, old, new):
    assert old in text
    return text.replace(old, new)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("x = 1 2\n", "cannot read the capture sources in .*line 1"),
        ("[source.logs]\n", "'source' is not a table of capture sources"),
        ("sources = 1\n", "'sources' is not a table of capture sources"),
        ("[sources]\nlogs = 1\n", "'sources' is not a table of capture sources"),
        (changed(S3, '"S3"', '"FTP"'), r"\[sources.logs\]: kind must be S3 or SFTP"),
        (changed(S3, "bucket", "buket"), "there is no key 'buket'; did you mean bucket?"),
        (changed(S3, '"captures"', '""'), "bucket: .*at least 1 character"),
        (changed(S3, '"captures"', "7"), "bucket: .*valid string"),
        (changed(S3, "LOGS_ID", "NOT_SET"), "access_key_id_env: the variable NOT_SET is not set"),
        (changed(S3, "LOGS_ID", "hunter2"), "access_key_id_env: it must be the name of a variable"),
        (changed(S3, 'secret_access_key_env = "LOGS_SECRET"', ""), "are missing"),
        (S3 + "anonymous = true\n", "anonymous sources have no keys"),
        (S3 + 'access_key_id = "x"\n', "access_key_id and access_key_id_env exclude each other"),
        (S3 + 'endpoint = "minio:9000"\n', "endpoint: must begin with https:// or http://"),
        (S3 + 'ca_file = "gone.pem"\n', "ca_file: cannot read gone.pem: No such file"),
        (changed(SFTP, f'host_key = "{KNOWN}"', ""), "host_key or known_hosts_file.*ssh-keyscan"),
        (changed(SFTP, KNOWN, "ssh-ed25519 AAA"), "host_key: "),
        (SFTP + "port = 0\n", "port: .*greater than or equal to 1"),
        (SFTP + 'private_key_file = "id"\n', "either password or private_key_file"),
        (changed(S3, "logs", '" "'), "a name has 1 to 120 printable characters"),
    ],
)
def test_a_mistake_is_named_with_its_table_and_without_secrets(read, text, reason):
    with pytest.raises(ConfigurationError, match=reason) as raised:
        read(text)
    assert "hunter2" not in raised.value.message


@pytest.mark.skipif(os.name != "posix", reason="modes are of POSIX")
def test_a_file_with_credentials_is_private_and_none_can_be_written_by_others(read):
    read(S3, 0o644)
    with pytest.raises(ConfigurationError, match="every user of this machine may write"):
        read(S3, 0o646)
    inline = changed(SFTP, 'password_env = "SFTP_PASSWORD"', 'password = "x"')
    read(inline, 0o640)
    with pytest.raises(ConfigurationError, match="every user of this machine may read") as raised:
        read(inline, 0o644)
    assert raised.value.hint.startswith("chmod o= ")
    with pytest.raises(ConfigurationError) as raised:
        read_capture_sources(Path(os.devnull), {})
    assert "chmod" not in str(raised.value.hint)


def test_a_file_that_is_too_large_is_not_read_in_part(read):
    with pytest.raises(ConfigurationError, match="is larger than"):
        read(S3 + "#" * 1024 * 1024)


def test_a_missing_library_is_named_with_its_extra(read, monkeypatch):
    monkeypatch.setattr(configuration, "find_spec", lambda name: None)
    with pytest.raises(
        ConfigurationError, match=r"'logs' needs obstore, .*not installed"
    ) as raised:
        read(S3)
    assert raised.value.hint == "pip install 'tm-cli[local,sources]'"


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigurationError, match=r"gone\.toml: No such file"):
        read_capture_sources(tmp_path / "gone.toml", {})
