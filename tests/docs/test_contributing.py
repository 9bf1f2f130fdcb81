"""What CONTRIBUTING shows as an example is the program, and its tests pass."""

import pytest

from checks.pages import ROOT
from tests.services.trafficmorph import detail
from tm_cli.exit_codes import ExitCode

PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
DECLARATION, TESTS = (block.partition("```")[0] for block in PAGE.split("```python\n")[1:])
SHOWN = {"ExitCode": ExitCode, "detail": detail}
exec(compile(TESTS, "CONTRIBUTING.md", "exec"), SHOWN)


def test_declaration_is_that_of_the_program():
    app = (ROOT / "tm_cli" / "commands" / "history" / "app.py").read_text(encoding="utf-8")
    assert DECLARATION in app


@pytest.mark.parametrize("name", [name for name in SHOWN if name.startswith("test_")])
def test_shown_test_passes(name, gate, server):
    SHOWN[name](gate, server)
