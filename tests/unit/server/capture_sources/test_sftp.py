import asyncio
import os

import asyncssh
import pytest

from tests.unit.server.capture_sources.sftp_server import (
    HOST_KEY,
    PASSWORD,
    USER_KEY,
    sftp_server,
)
from tm_cli.server.capture_sources.remote import RemoteError
from tm_cli.server.capture_sources.sftp import SftpSource, or_abort, parse_host_keys

KNOWN = HOST_KEY.export_public_key().decode()
OTHER = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()


@pytest.fixture
def directory(tmp_path):
    root = tmp_path / "root"
    (root / "logs" / "sub").mkdir(parents=True)
    (root / "logs" / "a b.jsonl").write_bytes(b"one\ntwo\n")
    os.utime(root / "logs" / "a b.jsonl", (86400, 86400))
    (root / "logs" / "link.jsonl").symlink_to("/a b.jsonl")
    (root / "large.jsonl").write_bytes(b"x" * 3_000_000)
    return root


def used(directory, use, **changes):
    """What `use` returns of a source on a server with that directory."""

    async def run():
        async with sftp_server(directory) as port:
            options = {"password": PASSWORD, "root_path": "/logs", "host": "127.0.0.1", **changes}
            options["host_keys"] = parse_host_keys([options.pop("host_key", KNOWN)])
            return await use(SftpSource(name="logs", user="ada", **{"port": port, **options}))

    return asyncio.run(run())


def reading(name):
    async def read(source):
        return b"".join([chunk async for chunk in source.read(name)])

    return read


def test_regular_files_are_listed_and_links_are_not(directory):
    [file] = used(directory, lambda source: source.files())
    assert (file.path, file.size, file.modified_at.isoformat()) == (
        "a b.jsonl",
        8,
        "1970-01-02T00:00:00+00:00",
    )


def test_a_file_is_read_whole_also_in_the_directory_of_the_login(directory):
    assert used(directory, reading("a b.jsonl")) == b"one\ntwo\n"
    assert len(used(directory, reading("large.jsonl"), root_path=None)) == 3_000_000


def test_a_key_opens_the_source_as_well(directory):
    assert used(directory, reading("a b.jsonl"), password=None, private_key=USER_KEY)


@pytest.mark.parametrize(
    ("changes", "name", "reason"),
    [
        ({}, "gone.jsonl", "no such file or directory"),
        ({}, "link.jsonl", "it is not a regular file"),
        ({}, "sub", "it is not a regular file"),
        ({"root_path": "/gone"}, None, "no such file or directory"),
        ({"password": "wrong password"}, None, "127.0.0.1 refuses the login of ada"),
        ({"host_key": OTHER}, None, "the host key of 127.0.0.1 is not the one"),
        ({"port": 9}, None, "Connect"),
        ({"host": "no.invalid"}, None, ""),
    ],
)
def test_what_goes_wrong_is_named_without_the_password(directory, changes, name, reason):
    use = reading(name) if name else lambda source: source.files()
    with pytest.raises(RemoteError) as raised:
        used(directory, use, **changes)
    text = str(raised.value)
    assert reason in text
    assert PASSWORD not in text
    assert "wrong password" not in text


def test_a_server_that_answers_nothing_more_is_left_at_once():
    class Connection:
        def __init__(self):
            self.is_aborted = asyncio.Event()

        def abort(self):
            self.is_aborted.set()

    async def run():
        connection, ended = Connection(), []

        async def listing():
            try:
                await asyncio.Event().wait()
            finally:
                await connection.is_aborted.wait()  # as the library closes a directory
                ended.append(True)

        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await or_abort(connection, listing())
        return ended

    assert asyncio.run(run())
