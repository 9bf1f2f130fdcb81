"""The JSON Schema of `tm.toml` accepts what is read as settings, and nothing else."""

import json
import tomllib

import pytest
from jsonschema import Draft7Validator

from tm_cli.errors import TmError
from tm_cli.settings import load_settings
from tm_cli.settings.definitions import DEFINITIONS
from tm_cli.settings.schema import settings_schema

SCHEMA = Draft7Validator(settings_schema())
ANYTHING = [
    *(True, False, 0, 1, 5, 7, 90.5, -1, 1e10, [], ["FAIL", "WARN"], ["p95<4s"], [1], ["FAIL,x"]),
    *("", "x", "auto", "10s", "5x", "1h30m", "FAIL", "fail, WARN", "PASS", "NO_BASELINE", "local"),
    *("true", "on", "maybe", "detach", "STOP", "http://localhost:8080", "ftp://x", "abcdef0", "-5"),
]
SHARED = [name for name, each in DEFINITIONS.items() if not each.personal]
OF_OTHER_FILES = ("context",)
"""What is defined elsewhere as well."""


def is_read(tmp_path, line):
    (tmp_path / "tm.toml").write_text(line)
    try:
        settings = load_settings({}, {}, cwd=tmp_path, user_dir=tmp_path / "user")
        for name in DEFINITIONS:
            _ = settings[name]
    except (TmError, ValueError):
        return False
    return True


def test_the_schema_is_one_and_has_every_setting_of_a_project():
    Draft7Validator.check_schema(settings_schema())
    assert set(settings_schema()["properties"]) == {*SHARED, "gate"}


@pytest.mark.parametrize("name", [name for name in SHARED if name not in OF_OTHER_FILES])
def test_schema_and_reader_agree_on_each_value(name, tmp_path):
    wrong = []
    for value in ANYTHING:
        line = f"{name} = {json.dumps(value)}\n"
        accepted, valid = is_read(tmp_path, line), SCHEMA.is_valid(tomllib.loads(line))
        if accepted != valid:
            wrong.append((value, accepted, valid))
    assert not wrong


@pytest.mark.parametrize("line", ["fail_onn = 'FAIL'", "api_key = 'tm_x'", "ca_file = 'a.pem'"])
def test_unknown_and_personal_settings_are_refused_by_both(line, tmp_path):
    assert not is_read(tmp_path, line)
    assert not SCHEMA.is_valid(tomllib.loads(line))
