"""Which files a job hands to the platform, as a cache or an artifact. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from tm_cli.scaffold.findings import Remark, Status
from tm_cli.scaffold.gate_call import HISTORY
from tm_cli.scaffold.tables import lines, table


def remarks_on_paths(paths: Iterable[str]) -> Iterator[Remark]:
    """Say where the key of the embedded server would leave the machine, or its journal return."""
    for path in paths:
        plain = path.strip().strip("\"'").removeprefix("./").rstrip("/")
        if plain in {".tm", ".tm/*", ".tm/**", ".tm/**/*", "**/.tm", "**/.tm/**"} or (
            plain.endswith(".tm/api-key")
        ):
            yield Remark(f"it keeps {path.strip()} with the key in it: keep {HISTORY} only")
        elif re.search(r"(?:^|/)\.tm/(?:tm\.db[-*]|server\.)", plain):
            yield Remark(
                f"it keeps {path.strip()}, of which only the database is of use to another job: "
                f"keep {HISTORY} only"
            )


def github_remarks(steps: Sequence[Mapping[str, Any]]) -> Iterator[Remark]:
    """Look at the steps of a job that keep files."""
    fetched = kept = False
    for step in steps:
        uses = str(step.get("uses") or "").partition("@")[0]
        paths = [
            path
            for text in lines(table(step.get("with")).get("path"))
            for path in text.splitlines()
        ]
        if uses.startswith(("actions/cache", "actions/upload-artifact")):
            yield from remarks_on_paths(paths)
        if any(".tm" in path for path in paths):
            fetched = fetched or uses == "actions/cache/restore"
            kept = kept or uses in {"actions/cache", "actions/cache/save"}
    if fetched and not kept:
        yield Remark(
            "it fetches earlier runs, and no step keeps new ones: actions/cache/save", Status.TODO
        )


def gitlab_remarks(job: Mapping[str, Any]) -> Iterator[Remark]:
    """Look at the cache and the artifacts of a job."""
    caches = job.get("cache")
    for kept in [*(caches if isinstance(caches, list) else [caches]), job.get("artifacts")]:
        yield from remarks_on_paths(lines(table(kept).get("paths")))
