"""The selftest page lists the scenarios of the program."""

from checks.pages import bare, page, rows, section
from tm_cli.selftest.scenarios import SCENARIOS


def test_page_lists_every_scenario_with_its_code_and_claim():
    listed = [(bare(name), code, claim) for name, code, claim in rows(section(PAGE, "Scenarios"))]
    assert listed == [(item.name, codes(item), item.claim) for item in SCENARIOS]


def test_page_says_how_many_there_are():
    count = len(SCENARIOS)
    assert f"{count} of {count} scenarios passed" in page(PAGE)


def codes(scenario):
    return " or ".join(str(int(code)) for code in scenario.expected)


PAGE = "docs/selftest.md"
