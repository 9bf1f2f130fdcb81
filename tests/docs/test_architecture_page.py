"""The page on architecture names every package, and only files that exist."""

import re

import pytest

from checks.pages import ROOT, page, without_blocks

PACKAGE = ROOT / "tm_cli"
PATH = re.compile(r"`([a-z_.]+/[a-z_./]*)`")


def named_paths(name):
    paths = set(PATH.findall(without_blocks(page(name))))
    return sorted(path for path in paths if not path.startswith("tests/"))


@pytest.mark.parametrize(
    ("name", "path"),
    [
        (name, path)
        for name in ("docs/architecture.md", "CONTRIBUTING.md")
        for path in named_paths(name)
    ],
)
def test_named_file_exists(name, path):
    assert (PACKAGE / path).exists() or (ROOT / path).exists()


def test_every_package_is_named():
    packages = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert packages <= {path.split("/")[0] for path in named_paths("docs/architecture.md")}
