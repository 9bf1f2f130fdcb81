"""What findings come to."""

from tm_cli.exit_codes import ExitCode
from tm_cli.values.check_result import CheckResult, Status, ok, problem, warning, worst


def failed(code):
    return problem("x", "it broke", None, code)


def test_nothing_failed_is_nothing_to_report():
    assert worst([ok("a", "fine"), warning("b", "odd", "do this")]) is None


def test_what_a_gate_meets_first_decides():
    codes = [ExitCode.UNAVAILABLE, ExitCode.AUTHENTICATION, ExitCode.CONFIGURATION]
    assert worst(map(failed, codes)).code is ExitCode.CONFIGURATION
    assert worst(map(failed, codes[:2])).code is ExitCode.AUTHENTICATION
    assert worst(map(failed, [ExitCode.ERROR, ExitCode.UNAVAILABLE])).code is ExitCode.UNAVAILABLE


def test_a_code_that_nobody_ranked_still_fails():
    assert worst([failed(ExitCode.INTERNAL)]).code is ExitCode.INTERNAL
    assert worst([failed(ExitCode.INTERNAL), failed(ExitCode.ERROR)]).code is ExitCode.ERROR


def test_text_of_servers_is_made_harmless():
    found = problem("x", "\x1b[31mred\n::error::", "\x07fix", ExitCode.ERROR)
    assert found == CheckResult("x", Status.PROBLEM, "[31mred ::error::", "fix", ExitCode.ERROR)
