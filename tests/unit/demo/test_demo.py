"""The demo says what is missing, and repeats only what other work can have disturbed."""

from __future__ import annotations

import os
import sys

import pytest

from tm_cli.demo import demo
from tm_cli.demo.demo import DemoService
from tm_cli.exit_codes import ExitCode


@pytest.mark.parametrize("missing", ["uvicorn", "locust"])
def test_without_the_embedded_server_nothing_is_tried(tm, monkeypatch, missing):
    monkeypatch.setitem(sys.modules, missing, None)
    result = tm("demo")
    assert result.exit_code == ExitCode.CONFIGURATION
    assert result.stdout == ""
    assert "hint: pip install 'tm-cli[local]'" in result.stderr


@pytest.mark.process
@pytest.mark.parametrize(
    ("command", "attempts"),
    [("tm no-such-command", 1), ("tm version", demo.ATTEMPTS)],
    ids=["an error", "another verdict"],
)
def test_only_a_verdict_is_tried_again(tmp_path, command, attempts):
    lines = []
    step = demo.DemoStep("A step.", 0.1, command, ExitCode.WARN)
    with DemoService(delay=0.1) as target:
        assert not demo.run_step(step, target, tmp_path, os.environ, lines.append)
    assert lines.count(f"$ {command}") == attempts
