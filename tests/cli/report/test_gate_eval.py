"""`tm report` over saved reports: the same policy, the same codes."""

from __future__ import annotations

import json

import pytest

from tests.unit.report.made_evidence import ALL
from tm_cli.cli.root import root_command
from tm_cli.commands.shared.report_sinks import Format, rendered
from tm_cli.exit_codes import ExitCode
from tm_cli.render.formats.json_document import to_json
from tm_cli.report.writer import as_document


@pytest.fixture
def saved(tm):
    """Write a report where tm runs and return its name."""

    def save(name, form=Format.JSON):
        (tm.cwd / f"{name}.{form}").write_text(rendered(form, ALL[name]), encoding="utf-8")
        return f"{name}.{form}"

    return save


@pytest.mark.parametrize("name", [name for name in ALL if name != "ungated"])
def test_without_flags_the_gate_of_the_report_decides_as_it_did(tm, saved, name):
    result = tm("report", "eval", saved(name))
    assert result.exit_code == ALL[name].exit_code


@pytest.mark.parametrize("name", [name for name in ALL if name != "ungated"])
def test_json_output_says_what_the_exit_code_says(tm, saved, name):
    result = tm("report", "eval", saved(name), "--json")
    assert result.json["exit_code"] == result.exit_code == ALL[name].exit_code


@pytest.mark.parametrize(
    ("name", "flags", "code"),
    [
        ("warn", ("--fail-on", "FAIL"), ExitCode.OK),
        ("warn-accepted", ("--fail-on", "fail, warn"), ExitCode.WARN),
        ("ungated", ("--fail-on", "FAIL"), ExitCode.FAIL),
        ("pass", ("--assert", "p95<20ms"), ExitCode.FAIL),
        ("pass", ("--assert", "p95<25ms", "--assert", "p99<+10%"), ExitCode.OK),
        ("timeout", ("--assert", "p95<25ms"), ExitCode.WAIT_TIMEOUT),
        ("unknown-verdict", ("--fail-on", "NO_BASELINE"), ExitCode.UNDECIDED),
        ("fail", ("--fail-on", "WARN", "--assert", "p95<20ms"), ExitCode.FAIL),
    ],
)
def test_flags_replace_their_part_of_the_gate(tm, saved, name, flags, code):
    assert tm("report", "eval", saved(name), *flags).exit_code == code


def test_fail_on_of_the_environment_is_not_a_flag(tm, saved):
    environ = {"TM_FAIL_ON": "NO_BASELINE"}
    assert tm("report", "eval", saved("fail"), environ=environ).exit_code == ExitCode.FAIL


@pytest.mark.parametrize(
    "flags", [("--fail-on", ""), ("--fail-on", "PASS"), ("--assert", "x"), ("--fail-on", "FIAL")]
)
def test_mistyped_gate_is_a_usage_error(tm, saved, flags):
    assert tm("report", "eval", saved("pass"), *flags).exit_code == ExitCode.USAGE


def test_report_without_a_gate_needs_one(tm, saved):
    result = tm("report", "eval", saved("ungated"))
    assert result.exit_code == ExitCode.USAGE
    assert "--fail-on or --assert" in result.stderr


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "null",
        "<html></html>",
        '{"schema_version": 1, "exit_code": 0, "exit_name": "OK", "data": null, "error": null}',
        to_json(as_document(ALL["pass"])),
        rendered(Format.JSON, ALL["pass"])[:-40],
        rendered(Format.JSON, ALL["pass"]) * 2,
        rendered(Format.JSON, ALL["fail"]).replace(
            '"exit_code": 2', '"exit_code": 2, "exit_code": 0'
        ),
        rendered(Format.JUNIT, ALL["pass"]),
    ],
    ids=range(10),
)
@pytest.mark.parametrize("words", [("report", "eval"), ("report", "explain"), ("report", "show")])
def test_file_that_is_no_whole_report_is_refused(tm, text, words):
    (tm.cwd / "gate.json").write_text(text, encoding="utf-8")
    result = tm(*words, "gate.json")
    assert result.exit_code == ExitCode.CONFIGURATION
    assert "not a usable report" in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize("words", [("report", "eval"), ("report", "show")])
def test_missing_file_is_named(tm, words):
    result = tm(*words, "none.json")
    assert result.exit_code == ExitCode.CONFIGURATION
    assert "none.json" in result.stderr


def test_page_with_two_evidences_is_refused(tm):
    script = '<script type="application/json" id="tm-evidence">{}</script>'.format
    page = f"<!doctype html>{script(rendered(Format.JSON, ALL['pass']))}" * 2
    (tm.cwd / "gate.html").write_text(page, encoding="utf-8")
    assert tm("report", "eval", "gate.html").exit_code == ExitCode.CONFIGURATION


def test_evaluation_writes_reports_of_what_it_decided(tm, saved):
    result = tm(
        *("report", "eval", saved("warn"), "--fail-on", "FAIL"),
        *("--report", "json=again.json", "--report", "junit=again.xml"),
    )
    assert result.exit_code == ExitCode.OK
    assert json.loads((tm.cwd / "again.json").read_text(encoding="utf-8"))["exit_code"] == 0
    assert tm("report", "eval", "again.json").exit_code == ExitCode.OK
    assert tm("report", "eval", "again.json", "--fail-on", "WARN").exit_code == ExitCode.WARN


@pytest.mark.parametrize("words", [("report", "eval"), ("report", "render")])
def test_report_that_is_read_is_never_written(tm, saved, words):
    name = saved("pass")
    before = (tm.cwd / name).read_bytes()
    result = tm(*words, name, "--report", f"json=./{name}")
    assert result.exit_code == ExitCode.USAGE
    assert (tm.cwd / name).read_bytes() == before


def test_explanation_is_one_sentence_and_its_grounds(tm, saved):
    result = tm("report", "explain", saved("fail"))
    assert result.exit_code == 0
    assert result.stdout.splitlines()[0] == (
        "checkout: the gate failed (exit 2, FAIL), because the verdict of its run is FAIL, "
        "which fails on FAIL,WARN: p95 26 ms, baseline 20 ms, limit +15 %."
    )
    assert "  compared with run 5" in result.stdout
    assert tm("report", "explain", saved("fail"), "--json").json["data"]["exit_name"] == "FAIL"


@pytest.mark.parametrize("name", ALL)
def test_saved_report_is_shown(tm, saved, name):
    result = tm("report", "show", saved(name))
    assert result.exit_code == 0
    assert f"exit {int(ALL[name].exit_code)}" in result.stdout


def test_saved_report_is_written_in_other_formats(tm, saved):
    result = tm(
        *("report", "render", saved("several"), "--report", "markdown=a.md"),
        *("--report", "csv=a.csv"),
    )
    assert result.exit_code == 0
    assert (tm.cwd / "a.md").read_text(encoding="utf-8") == rendered(
        Format.MARKDOWN, ALL["several"]
    )
    assert tm("report", "render", saved("pass")).exit_code == ExitCode.USAGE
    nowhere = ("--report", "csv=no/such/dir/a.csv")
    assert tm("report", "render", saved("pass"), *nowhere).exit_code == ExitCode.OUTPUT


@pytest.mark.parametrize("words", [("eval",), ("explain",)], ids=" ".join)
def test_older_name_of_the_command_does_the_same(tm, saved, words):
    older, newer = (tm(noun, *words, saved("fail")) for noun in ("gate", "report"))
    assert (older.exit_code, older.stdout) == (newer.exit_code, newer.stdout)


def test_older_name_is_not_in_the_help():
    assert root_command().commands["gate"].hidden


HOSTILE = "x\n::error::y\n##[set-output name=gate]pass\x1b[31m\u202e"


def with_each_text_replaced(document, text):
    """Yield the document as often as it has texts, each time with another one replaced."""
    for key, value in document.items() if isinstance(document, dict) else enumerate(document):
        changed = [text] if isinstance(value, str) else []
        if isinstance(value, dict | list):
            changed = with_each_text_replaced(value, text)
        for item in changed:
            document[key] = item
            yield document
        document[key] = value


@pytest.mark.parametrize("words", [("explain",), ("show",), ("eval",)])
def test_explanation_of_a_hostile_report_controls_nothing(tm, words):
    document = json.loads(rendered(Format.JSON, ALL["fail"]))
    for changed in with_each_text_replaced(document, HOSTILE):
        (tm.cwd / "gate.json").write_text(json.dumps(changed), encoding="utf-8")
        result = tm("report", *words, "gate.json")
        shown = f"\n{result.stdout}\n{result.stderr}"
        assert not [part for part in ("\n::", "##[", "\x1b", "\u202e") if part in shown], shown
        assert "internal error" not in shown
