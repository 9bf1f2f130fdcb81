"""The numbers on the page of the verdicts are those of the judge."""

import pytest

from checks.pages import ROOT, page, rows, section
from tm_cli.server.judge import SelectedBy, Thresholds
from tm_cli.server.judge.evidence import _MIN_BEYOND
from tm_cli.server.judge.findings import LIKELY, SURE
from tm_cli.server.judge.levels import RARELY, SELDOM
from tm_cli.server.judge.power import POWER_OF_FAIL, POWER_OF_WARN
from tm_cli.server.judge.statistics.bootstrap import (
    ASSUMED,
    ASSUMED_RUNS,
    DRAWS,
    MAX_RUNS,
    MAX_SPREAD_RUNS,
)
from tm_cli.server.judge.thresholds import QUANTILES
from tm_cli.server.runs.noise import LEAST_SPREAD

NAME = "docs/verdicts.md"
LIMITS = Thresholds()
COMPARED = {row[0]: row[1:] for row in rows(section(NAME, "What is compared"))}
TEXT = " ".join(page(NAME).split())


@pytest.mark.parametrize("quantile", QUANTILES)
def test_bounds_of_response_times_are_the_judges(quantile):
    bound = LIMITS.quantiles[quantile]
    expected = [f"+{bound.warn:g} %", f"+{bound.fail:g} %", f"{LIMITS.floor(quantile):g} ms"]
    assert list(COMPARED[f"{quantile} response time"]) == expected


@pytest.mark.parametrize(
    ("name", "bound", "form"),
    [
        ("error rate", LIMITS.errors, "+{:g} points"),
        ("throughput", LIMITS.throughput, "-{:g} %"),
        ("errors, whatever the baseline", LIMITS.all_errors, "{:g} %"),
        ("planned requests that were not sent", LIMITS.shortfall, "{:g} %"),
    ],
)
def test_other_bounds_are_the_judges(name, bound, form):
    [row] = [row for what, row in COMPARED.items() if what.startswith(name)]
    assert list(row[:2]) == [form.format(bound.warn), form.format(bound.fail)]


def test_too_little_is_what_the_judge_calls_so():
    assert f"fewer than {LIMITS.fewest_requests} completed requests" in COMPARED
    for quantile, share in QUANTILES.items():
        if quantile != "p50":
            fewest = round(_MIN_BEYOND[quantile] / (1 - share))
            assert f"{fewest:,} for {quantile}" in TEXT


def test_constants_of_the_noise_are_the_judges():
    assert f"drawn with replacement {DRAWS} times" in TEXT
    assert f"{100 * ASSUMED:g} % per run is assumed" in TEXT
    assert (MAX_RUNS, MAX_SPREAD_RUNS) == (10, 20)
    assert "the last twenty reliable runs of the [present level]" in TEXT
    assert "must also differ from the mean of the last ten" in TEXT
    assert f"less than {100 * SELDOM:g} % of cases" in TEXT
    assert f"{100 * RARELY:g} % for the *best*" in TEXT
    assert (
        f"Below {100 * LIKELY:g} % it is worth a warning, below {100 * SURE:g} % it may fail"
        in TEXT
    )


def test_every_way_to_a_baseline_is_there():
    table = rows(section(NAME, "What a run is compared with"))
    assert [row[0] for row in table] == list(SelectedBy)


def test_pictures_ask_nothing_of_the_network():
    pictures = sorted((ROOT / "docs" / "pictures").glob("*.svg"))
    assert len(pictures) >= 3
    for picture in pictures:
        text = picture.read_text(encoding="utf-8")
        assert "<script" not in text
        links = text.replace("http://www.w3.org/", "")
        assert "url(http" not in links
        assert "@import" not in links
        assert "href" not in links


def test_every_picture_is_shown_on_a_page():
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    shown = "".join(item.read_text(encoding="utf-8") for item in pages)
    pictures = [item.name for item in (ROOT / "docs" / "pictures").iterdir()]
    assert [name for name in pictures if f"pictures/{name})" not in shown] == []


def test_numbers_of_what_a_profile_can_detect_are_the_judges():
    warn, fail = f"{100 * POWER_OF_WARN:g} % of such runs", f"`FAIL` in {100 * POWER_OF_FAIL:g} %"
    assert warn in TEXT
    assert fail in TEXT
    assert f"never less than {100 * LEAST_SPREAD:g} %" in TEXT
    without_any = (ASSUMED_RUNS * ASSUMED**2 / (ASSUMED_RUNS + 4)) ** 0.5
    assert f"Five runs without any spread give {100 * without_any:.1f} %" in TEXT
