"""Carry the versions of `tm_cli/setup/pins` into pages, examples, workflows, action and image.

`python scripts/pins.py` rewrites what differs, `--check` names it and returns 1. The places that
Dependabot updates by itself are its folder, `action.yml` and `.github/workflows`; pages and
examples follow here, with the release of tm that they name.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tm_cli import __version__  # noqa: E402  # found by the line above
from tm_cli.setup import pins  # noqa: E402

OWN = pins.ACTION

_COMMIT = re.compile(r"([\w.-]+/[\w./-]+)@[0-9a-f]{40} # v[\d.]+")
_TAG = re.compile(r"uses: ([\w.-]+/[\w./-]+)@(v[\w.]+)")
_FROM = re.compile(r"^FROM python:\S+", re.MULTILINE)
_IMAGE = re.compile(r"image: python:\S+")
_CONVENIENCE_IMAGE = re.compile(r"image: cimg/python:\S+")
_PYTHON = re.compile(r'(python-version: |\| `python-version` \| )(["`])3\.\d+["`]')
_PYTHON_INPUT = re.compile(r'(\n  python-version:\n(?:    .*\n)*?    default: )"3\.\d+"')


def files() -> list[Path]:
    """Return every file that names a version which is pinned elsewhere."""
    return [
        ROOT / "README.md",
        *sorted((ROOT / "docs").glob("*.md")),
        *sorted((ROOT / "examples").iterdir()),
        ROOT / "action.yml",
        ROOT / "Dockerfile",
        *sorted((ROOT / ".github").glob("**/*.yml")),
    ]


def with_pins(text: str, *, is_page: bool) -> str:
    """Return the text of a file with the pinned versions.

    Pages and examples name actions by their major version and one Python; a workflow of this
    repository chooses its own Pythons.
    """
    text = _COMMIT.sub(lambda found: pins.actions().get(found[1], found[0]), text)
    text = _PYTHON_INPUT.sub(rf'\1"{pins.python_version()}"', text)
    text = _FROM.sub(f"FROM {pins.image()}", text)
    if not is_page:
        return text
    text = _TAG.sub(_tag, text)
    text = _IMAGE.sub(f"image: {pins.image()}", text)
    text = _CONVENIENCE_IMAGE.sub(f"image: cimg/python:{pins.python_version()}", text)
    return _PYTHON.sub(rf"\1\g<2>{pins.python_version()}\2", text)


def _tag(found: re.Match[str]) -> str:
    name = found[1]
    if name == OWN:
        return f"uses: {OWN}@v{__version__}"
    if name not in pins.actions():
        raise ValueError(f"{name}@{found[2]} has no pin in tm_cli/setup/pins/action.yml")
    return f"uses: {name}@{major(pins.actions()[name])}"


def major(use: str) -> str:
    """Return `v5` of `actions/checkout@08c6… # v5.0.0`."""
    return use.rpartition(" # ")[2].split(".")[0]


def stale() -> Iterator[tuple[Path, str]]:
    """Yield each file that is behind, with its text as it has to be."""
    for path in files():
        text = path.read_text(encoding="utf-8")
        is_page = path.suffix == ".md" or path.parent.name == "examples"
        wanted = with_pins(text, is_page=is_page)
        if wanted != text:
            yield path, wanted


def findings() -> Iterator[str]:
    """Yield a line for each file that is behind."""
    for path, _ in stale():
        yield f"{path.relative_to(ROOT)}: is behind tm_cli/setup/pins; run `make docs`"


def main(arguments: list[str]) -> int:
    """Rewrite files, or with `--check` return 1 when one is behind the pins."""
    if arguments not in ([], ["--check"]):
        print("usage: python scripts/pins.py [--check]", file=sys.stderr)
        return 64
    if arguments:
        found = list(findings())
        sys.stderr.writelines(f"{line}\n" for line in found)
        return int(bool(found))
    for path, wanted in stale():
        path.write_text(wanted, encoding="utf-8", newline="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
