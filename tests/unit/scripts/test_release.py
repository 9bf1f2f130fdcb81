"""A release needs one version in tag, package and changelog; pip's lowest versions are named."""

from __future__ import annotations

import pytest

import lowest
import release

CHANGELOG = """\
# Changelog

## [Unreleased]

## [1.2.0] - 2026-03-01

### Added

- A thing.

## [1.1.0] - 2026-02-01

- Another.

[1.2.0]: https://example.org/1.2.0
"""


def test_notes_are_the_section_of_the_version():
    text = release.notes("v1.2.0", "1.2.0", CHANGELOG)
    assert text == "### Added\n\n- A thing.\n"


def test_links_at_the_end_are_no_part_of_the_notes():
    assert release.notes("v1.1.0", "1.1.0", CHANGELOG) == "- Another.\n"


@pytest.mark.parametrize(
    ("tag", "version", "reason"),
    [
        ("v1.2.1", "1.2.0", r"the tag is v1\.2\.1, but the version"),
        ("1.2.0", "1.2.0", r"the tag is 1\.2\.0, but the version"),
        ("v1.3.0", "1.3.0", r"no section `## \[1\.3\.0\]`"),
        ("v1x2.0", "1x2.0", "no section"),
    ],
)
def test_a_tag_that_does_not_fit_is_not_released(tag, version, reason):
    with pytest.raises(ValueError, match=reason):
        release.notes(tag, version, CHANGELOG)


def test_an_empty_section_is_not_released():
    with pytest.raises(ValueError, match="is empty"):
        release.notes("v2.0.0", "2.0.0", "## [2.0.0]\n\n## [1.0.0]\n\n- Old.\n")


def test_command_says_why_nothing_is_released(capsys):
    assert release.main(["v0.0.0"]) == 1
    assert "the tag is v0.0.0" in capsys.readouterr().err


def test_every_requirement_of_users_names_its_lowest_version():
    needed = lowest.extras()
    assert {"", "local"} <= set(needed)
    for requirements in needed.values():
        assert len(list(lowest.lowest(requirements))) == len(requirements)


def test_a_requirement_without_a_bound_is_refused():
    with pytest.raises(ValueError, match=r"'rich<16' in pyproject\.toml has no lowest version"):
        list(lowest.lowest(["rich<16"]))
