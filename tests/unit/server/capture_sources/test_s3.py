import asyncio

import pytest

from tests.unit.server.capture_sources.s3_store import s3_store
from tm_cli.server.capture_sources.remote import RemoteError
from tm_cli.server.capture_sources.s3 import S3Source

KEYS = {"access_key_id": "AKIASECRET", "secret_access_key": "wJalrXUtnFEMI"}


@pytest.fixture(scope="module")
def store():
    with s3_store() as store:
        yield store


@pytest.fixture
def source(store):
    endpoint, requests = store
    requests.clear()

    def make(bucket="captures", root="logs", **changes):
        return S3Source(
            **{
                "name": "logs",
                "bucket": bucket,
                "root_path": root,
                "endpoint": endpoint,
                "region": "eu-central-1",
                **KEYS,
                **changes,
            }
        )

    return make


async def whole(source, name):
    return b"".join([chunk async for chunk in source.read(name)])


def test_the_files_of_a_folder_are_listed_page_by_page_without_subfolders(source, store):
    found = asyncio.run(source().files())
    assert [(file.path, file.size, file.modified_at.day) for file in found] == [
        ("old.jsonl", 4, 1),
        ("new b%.jsonl", 4, 2),
    ]
    assert len(store[1]) == 2


def test_a_file_is_read_by_the_name_that_was_listed(source):
    assert asyncio.run(whole(source(), "new b%.jsonl")) == b"new\n"


def test_requests_are_signed_with_the_keys_of_the_configuration_alone(source, store, monkeypatch):
    monkeypatch.setenv("AWS_SESSION_TOKEN", "of somebody else")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "of somebody else")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    asyncio.run(source().files())
    [(_, headers), *_] = store[1]
    assert headers["authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKIASECRET/")
    assert "/eu-central-1/s3/" in headers["authorization"]
    assert "x-amz-security-token" not in headers
    store[1].clear()
    asyncio.run(source(session_token="own").files())
    assert store[1][0][1]["x-amz-security-token"] == "own"
    store[1].clear()
    asyncio.run(source(access_key_id=None, secret_access_key=None).files())
    assert "authorization" not in store[1][0][1]


@pytest.mark.parametrize(
    ("changes", "name", "reason"),
    [
        ({}, "gone.jsonl", "the store answers 404 NoSuchKey"),
        ({"bucket": "gone"}, None, "the store answers 404 NoSuchBucket"),
        ({"bucket": "private"}, None, "the store answers 403 InvalidAccessKeyId"),
        ({"endpoint": "http://127.0.0.1:9"}, None, "the store cannot be reached: Connection"),
        ({"endpoint": "http://no.invalid"}, None, "the store cannot be reached: "),
    ],
)
def test_an_error_says_what_the_store_answers_and_no_key(source, changes, name, reason):
    broken = source(**changes)
    with pytest.raises(RemoteError, match=f"^{reason}") as raised:
        asyncio.run(whole(broken, name) if name else broken.files())
    assert not any(key in f"{raised.value}{broken!r}" for key in KEYS.values())
