"""Check that a tag may be released and print its notes: `python scripts/release.py v1.2.3`.

The version stands in `tm_cli/__init__.py`; the notes are its section in CHANGELOG.md.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def notes(tag: str, version: str, changelog: str) -> str:
    """Return the notes of a release; raises ValueError when tag, version and changelog differ."""
    if tag != f"v{version}":
        raise ValueError(f"the tag is {tag}, but the version of tm_cli/__init__.py is {version}")
    heading = re.compile(rf"^## \[{re.escape(version)}\].*\n", re.MULTILINE)
    found = heading.search(changelog)
    if found is None:
        raise ValueError(f"CHANGELOG.md has no section `## [{version}]`")
    text = re.split(r"^(?:## |\[[^\]]+\]: )", changelog[found.end() :], flags=re.MULTILINE)[0]
    if not text.strip():
        raise ValueError(f"the section `## [{version}]` of CHANGELOG.md is empty")
    return text.strip() + "\n"


def main(arguments: list[str]) -> int:
    """Print the notes of the tag in `arguments`, or return 1 when it must not be released."""
    if len(arguments) != 1:
        print("usage: python scripts/release.py TAG", file=sys.stderr)
        return 64
    source = (ROOT / "tm_cli" / "__init__.py").read_text(encoding="utf-8")
    version = re.search(r'^__version__ = "(.+)"$', source, re.MULTILINE)
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    try:
        print(notes(arguments[0], version[1] if version else "unknown", changelog), end="")
    except ValueError as error:
        print(f"not released: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
