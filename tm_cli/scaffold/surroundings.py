"""What the directory of a set-up tells: its platform, and whether it is the top of a repository."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

from tm_cli.scaffold.answers import Platform


def usual_platform(directory: Path) -> Platform:
    """Return the platform whose files are there, else the one that git fetches from, else none."""
    signs = (
        (".gitlab-ci.yml", Platform.GITLAB),
        (".github", Platform.GITHUB),
        ("Makefile", Platform.MAKE),
    )
    for name, platform in signs:
        if (directory / name).exists():
            return platform
    return _from_remote(directory / ".git" / "config")


def _from_remote(config: Path) -> Platform:
    with suppress(OSError):
        text = config.read_text(encoding="utf-8", errors="replace")
        for host in re.findall(r"^\s*url\s*=\s*\S*?([\w.-]+\.\w+)[:/]", text, re.MULTILINE):
            for platform in (Platform.GITHUB, Platform.GITLAB):
                if platform.value in host.split("."):
                    return platform
    return Platform.NONE


def needs_the_top(platform: Platform) -> bool:
    """Whether the platform looks for its pipelines at the top of a repository only."""
    return platform in (Platform.GITHUB, Platform.GITLAB)


def above(directory: Path) -> Path | None:
    """Return the top of the repository, None when `directory` is it or in none."""
    if (directory / ".git").exists():
        return None
    return next((place for place in directory.parents if (place / ".git").exists()), None)
