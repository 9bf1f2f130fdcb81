"""A capture source whose files are in memory."""

from datetime import UTC, datetime

from tm_cli.server.capture_sources.remote import RemoteError, RemoteFile

EPOCH = datetime(2026, 3, 1, tzinfo=UTC)


class MemorySource:
    """Each file is a list of chunks; the newest is the last one. `fail` is said by both methods."""

    kind = "S3"

    def __init__(self, name="memory", files=None, root_path=None, fail=None):
        self.name = name
        self.root_path = root_path
        self.content = files or {}
        self.fail = fail

    async def files(self):
        if self.fail:
            raise RemoteError(self.fail)
        return [
            RemoteFile(path, sum(map(len, chunks)), EPOCH.replace(minute=minute))
            for minute, (path, chunks) in enumerate(self.content.items())
        ]

    async def read(self, name):
        if self.fail or name not in self.content:
            raise RemoteError(self.fail or "no such file")
        for chunk in self.content[name]:
            yield chunk
