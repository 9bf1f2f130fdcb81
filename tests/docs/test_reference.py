"""The generated page of commands is the same on every terminal."""

import reference


def test_page_does_not_depend_on_the_terminal(monkeypatch):
    plain = reference.page()
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert reference.page() == plain


def test_other_arguments_are_refused():
    assert reference.main(["--chekc"]) == 64
