"""Calls in one process: what one was told is not known to the next."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from tm_cli.exit_codes import ExitCode

WORDS = ["config", "show"]


@pytest.mark.parametrize("place", range(3))
@pytest.mark.parametrize("option", ["--base-url=nonsense", "--context=nowhere", "--timeout=soon"])
def test_option_of_one_call_is_none_of_the_next(tm, place, option):
    wrong = [*WORDS[:place], option, *WORDS[place:]]
    assert tm(*wrong).exit_code in {ExitCode.USAGE, ExitCode.CONFIGURATION}
    assert tm(*WORDS).exit_code == ExitCode.OK


@pytest.mark.parametrize("place", range(3))
def test_document_that_one_call_asked_for_is_not_printed_by_the_next(tm, place):
    assert tm(*WORDS[:place], "--json", *WORDS[place:]).stdout.startswith("{")
    assert not tm(*WORDS).stdout.startswith("{")


@pytest.mark.parametrize("wanted", [True, False])
@pytest.mark.parametrize("has", [True, False])
def test_server_of_another_command_and_its_other_setting_is_told(tm, server, wanted, has):
    (tm.cwd / "api-key").write_text(server.key)

    def found(_directory):
        return SimpleNamespace(
            base_url=server.url,
            api_key_file=tm.cwd / "api-key",
            pid=4711,
            started_here=False,
            allows_public_targets=has,
            close=lambda: None,
        )

    server.answer("GET", "/profiles", [])
    environ = {"TM_BASE_URL": "local", "TM_ALLOW_PUBLIC_TARGETS": str(wanted).lower()}
    result = tm("profiles", "list", environ=environ, launch=found)
    word = "permits" if has else "refuses"
    told = f"the embedded server {word} public targets, as it was started; "
    told += f"allow_public_targets={str(wanted).lower()} has no effect"
    assert (told in result.stderr) == (wanted != has)
    assert ("until process 4711 has ended" in result.stderr) == (wanted != has)


@pytest.mark.parametrize(
    "argv",
    [
        ("jobs", "start", "export", "--wait"),
        ("jobs", "wait", "r1"),
        ("benchmarks", "start", "b", "--wait", "--min-score", "0.5"),
    ],
    ids=" ".join,
)
def test_conditions_of_traffic_that_a_gate_does_not_check_are_named(tm, argv):
    result = tm(*argv, "--quiet", environ={"TM_ASSERT": "score>=0.9"})
    said = "assert (variable TM_ASSERT) counts in `tm runs`; this gate does not check it"
    assert said in result.stderr
    assert said not in tm(*argv).stderr
