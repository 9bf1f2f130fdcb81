import asyncio
import contextlib
from datetime import UTC, datetime

import pytest

from tests.unit.server.capture_sources.memory_source import MemorySource
from tm_cli.server.capture_sources.sources import CaptureSources
from tm_cli.server.store.capture_sources import CaptureSourceStore
from tm_cli.server.store.database import Database
from tm_cli.server.web.bodies import Refusal

READ = "analyse stream"


@pytest.fixture
def database(tmp_path):
    with contextlib.closing(Database.open(tmp_path / "tm.db")) as database:
        yield database


@pytest.fixture
def sources(database, clock):
    def make(*definitions, **options):
        store = CaptureSourceStore(database, clock)
        return CaptureSources(definitions, store, clock.monotonic, **options)

    return make


def ids(sources):
    return {record.name: record.id for record, _ in sources.all()}


def read(sources, path, source_id=1, operation=READ):
    async def run():
        async with sources.open_capture(source_id, path, operation) as file:
            return file.read()

    return asyncio.run(run())


def state(sources):
    [(record, _)] = sources.all()
    return record.last_listed_at, record.last_error


def test_sources_are_ordered_by_name_and_keep_their_ids(sources):
    before = ids(sources(MemorySource("b"), MemorySource("A")))
    assert list(before) == ["A", "b"]
    assert ids(sources(MemorySource("c"))) == {"c": 3}
    assert ids(sources(MemorySource("A"), MemorySource("b"))) == before


def test_a_source_is_updated_when_its_root_changes(sources, clock):
    sources(MemorySource(root_path="a"))
    clock.wall = datetime(2027, 1, 1, tzinfo=UTC)
    [(same, _)] = sources(MemorySource(root_path="a")).all()
    assert same.updated_at.startswith("2026")
    [(other, _)] = sources(MemorySource(root_path="b")).all()
    assert (other.created_at[:4], other.updated_at[:4]) == ("2026", "2027")


def test_only_captures_in_the_root_are_listed_newest_first(sources):
    names = ["old.jsonl", "new.NDJSON", ".hidden.jsonl", "sub/a.jsonl", "..\\b.jsonl", "notes.txt"]
    found = sources(MemorySource(files={name: [b""] for name in names}))
    assert [file.path for file in asyncio.run(found.files(1, 10))] == ["new.NDJSON", "old.jsonl"]
    assert state(found) == ("2026-03-01T12:00:00.000000Z", None)


def test_a_file_is_read_whole_and_counted_as_a_contact(sources):
    found = sources(MemorySource(files={"a.jsonl": [b"one\n", b"two\n"]}))
    assert read(found, "a.jsonl") == b"one\ntwo\n"
    assert state(found) == ("2026-03-01T12:00:00.000000Z", None)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("../secret.jsonl", "no such capture in the root"),
        ("/etc/passwd", "no such capture in the root"),
        ("sub/a.jsonl", "no such capture in the root"),
        (".a.jsonl", "no such capture in the root"),
        ("a\0.jsonl", "no such capture in the root"),
        ("notes.txt", "no such capture in the root"),
        ("gone.jsonl", "no such file"),
        ("long.jsonl", "the file is longer than 1 MB"),
    ],
)
def test_what_cannot_be_opened_is_refused_and_noted(sources, path, message):
    files = {"long.jsonl": [b"x" * 2**20, b"x"], "notes.txt": [b""], "../secret.jsonl": [b"s"]}
    found = sources(MemorySource(files=files), max_bytes=2**20)
    with pytest.raises(Refusal, match=f"^Failed to open remote stream: .*{message}"):
        read(found, path)
    listed, error = state(found)
    assert listed is None
    assert message in error


def test_a_blank_path_and_an_unknown_source_are_refused(sources):
    found = sources(MemorySource())
    with pytest.raises(Refusal, match="path: must not be blank"):
        read(found, " ")
    with pytest.raises(Refusal, match=r"^Capture source not found$"):
        read(found, "a.jsonl", source_id=2)
    assert state(found) == (None, None)


def test_a_success_clears_the_error(sources, clock):
    source = MemorySource(fail="login failed")
    found = sources(source)
    with pytest.raises(Refusal, match=r"^Failed to list files: login failed$"):
        asyncio.run(found.files(1, 10))
    source.fail = None
    clock.sleep(3)
    asyncio.run(found.files(1, 10))
    assert state(found) == ("2026-03-01T12:00:03.000000Z", None)


def test_a_remote_without_answer_is_given_up(sources, monkeypatch):
    class Silent(MemorySource):
        async def files(self):
            await asyncio.Event().wait()

    monkeypatch.setattr("tm_cli.server.capture_sources.sources._LISTING_TIMEOUT", 0.01)
    with pytest.raises(Refusal, match=r"^Failed to list files: no complete answer in 0.01 s"):
        asyncio.run(sources(Silent()).files(1, 10))


def test_each_operation_of_each_source_has_a_rate_of_its_own(sources, clock):
    files = {"a.jsonl": [b""]}
    found = sources(MemorySource("a", files), MemorySource("b", files))

    def calls(source_id):
        asyncio.run(found.files(source_id, 10))
        read(found, "a.jsonl", source_id)
        read(found, "a.jsonl", source_id, "import stream")

    calls(1)
    calls(2)
    clock.sleep(1.5)
    for operation, seconds, call in (
        ("list files", 2, lambda: asyncio.run(found.files(1, 10))),
        ("analyse stream", 1, lambda: read(found, "a.jsonl")),
        ("import stream", 1, lambda: read(found, "a.jsonl", operation="import stream")),
    ):
        message = f"^Too many {operation} requests for this source; wait {seconds} s$"
        with pytest.raises(Refusal, match=message) as refused:
            call()
        assert refused.value.status == 429
        assert refused.value.headers == {"Retry-After": str(seconds)}
    clock.sleep(1.5)
    calls(1)
