"""`--last` when what was remembered is not what tm wrote: nothing is sent, nothing passes."""

import json

import pytest

from tm_cli.exit_codes import ExitCode

RUN = {"system": "strait", "server": "http://127.0.0.1:9/", "subject_id": "j", "run_id": "r"}
ENTRY = {**RUN, "subject": "export", "details": {}}
LOCAL = {**ENTRY, "system": "trafficmorph", "server": "local", "subject_id": 1}
KEYS = {"STRAIT_BASE_URL": "http://127.0.0.1:9", "STRAIT_API_KEY": "key-of-strait"}

UNUSABLE = {
    "empty": "[]",
    "no-list": "7",
    "nothing": "null",
    "no-json": "[[[",
    "deep": "[" * 100_000,
    "no-objects": "[1]",
    "a-key-is-missing": json.dumps([RUN]),
    "a-key-too-many": json.dumps([{**ENTRY, "verdict": "PASS"}]),
    "run-id-is-no-text": json.dumps([{**ENTRY, "run_id": 5}]),
    "subject-is-no-text": json.dumps([{**ENTRY, "subject": 7}]),
    "details-are-no-object": json.dumps([{**ENTRY, "details": []}]),
    "system-is-no-text": json.dumps([{**ENTRY, "system": ["strait"]}]),
    "unknown-system": json.dumps([{**ENTRY, "system": "cobol"}]),
    "two-systems": json.dumps([ENTRY, {**ENTRY, "system": "runloop"}]),
    "verdict-is-unknown": json.dumps([{**LOCAL, "details": {"fail_on": "NEVER"}}]),
    "verdict-is-no-text": json.dumps([{**LOCAL, "details": {"fail_on": 7}}]),
    "check-is-unreadable": json.dumps([{**LOCAL, "details": {"checks": ["p95"]}}]),
    "check-is-no-text": json.dumps([{**LOCAL, "details": {"checks": [7]}}]),
    "no-profile": json.dumps([{**ENTRY, "system": "trafficmorph", "server": "local"}]),
    "another-server": json.dumps([{**ENTRY, "server": "http://127.0.0.1:8/"}]),
}


@pytest.fixture
def remembered(tm):
    """Writes what `--last` finds."""

    def write(text):
        import hashlib

        project = hashlib.sha256(str(tm.cwd).encode()).hexdigest()[:16]
        path = tm.cwd.parent / "state" / "last" / f"{project}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    return write


@pytest.mark.parametrize("text", UNUSABLE.values(), ids=UNUSABLE)
@pytest.mark.parametrize("group", ["runs", "jobs"])
def test_unusable_memory_is_a_bad_file(tm, remembered, group, text):
    remembered(text)
    result = tm(group, "wait", "--last", environ=KEYS)
    assert result.exit_code == ExitCode.CONFIGURATION
    assert result.stderr.count("tm: ") <= 2
    assert "Traceback" not in result.stderr


def test_usable_memory_is_followed(tm, remembered):
    remembered(json.dumps([ENTRY]))
    result = tm("jobs", "wait", "--last", "--wait-timeout", "1s", environ=KEYS)
    assert result.exit_code == ExitCode.WAIT_TIMEOUT


def test_nothing_remembered_says_what_to_do(tm):
    result = tm("jobs", "wait", "--last", environ=KEYS)
    assert result.exit_code == ExitCode.CONFIGURATION
    assert "start a run first, or name one" in result.stderr
