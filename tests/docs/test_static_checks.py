"""Each static check of `make lint` sees a violation."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

import check
import reference
from checks import (
    architecture,
    command_lines,
    generated,
    help_texts,
    links,
    named_files,
    named_tests,
)


@pytest.fixture
def docs(tmp_path):
    """A directory of pages with an index."""
    directory = tmp_path / "docs"
    directory.mkdir()
    (directory / "README.md").write_text("[a](a.md)\n", encoding="utf-8")
    return directory


def write(directory, text, name="a.md"):
    path = directory / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("link", "problem"),
    [
        ("b.md", "no such file"),
        ("#there-is-none", "no such heading"),
        ("README.md#there-is-none", "no such heading"),
        ("../../elsewhere", "no such file"),
        ("/etc", "out of the repository"),
    ],
)
def test_link_that_leads_nowhere_is_found(docs, tmp_path, link, problem):
    path = write(docs, f"# A page: its head\n\n[good](#a-page-its-head) and [bad]({link})\n")
    [found] = links.findings([path], tmp_path)
    assert found.startswith(f"docs/a.md: {link}: ")
    assert problem in found


def test_page_that_the_index_does_not_list_is_found(docs, tmp_path):
    path = write(docs, "# B\n", "b.md")
    assert list(links.findings([path], tmp_path)) == ["docs/README.md: does not list b.md"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("```sh\ntm runs begin x\n```\n", "begin"),
        ("```sh\nexport A=1 tm runs start x --wiat\n```\n", "--wiat"),
        ("```console\n$ tm -x | cat\n```\n", "-x"),
        ("```yaml\njobs:\n  - run: tm runs begin x\n```\n", "begin"),
        ("Call `tm runs begin` or `tm ... anything`.\n", "begin"),
        ("Call `tm runs start --wiat`.\n", "--wiat"),
        ("```sh\nmake nothing\n```\n", "nothing"),
        ("```yaml\na: [\n```\n", "a.md-1"),
        ("```yaml\n# nothing\n```\n", "says nothing"),
    ],
)
def test_command_line_that_does_not_work_is_found(docs, tmp_path, text, problem):
    path = write(docs, text)
    examples = tmp_path / "examples"
    examples.mkdir()
    [found] = command_lines.findings([path], examples)
    assert found.startswith("a.md")
    assert problem in found


def test_example_file_with_a_command_line_that_does_not_work_is_found(docs, tmp_path):
    examples = tmp_path / "examples"
    examples.mkdir()
    write(examples, "#   tm runs begin x\nrun: tm runs start x --wait\n", "gate.sh")
    [found] = command_lines.findings([], examples)
    assert found.startswith("gate.sh: tm runs begin x: ")


def test_pages_without_command_lines_are_noticed(monkeypatch):
    monkeypatch.setattr(command_lines, "PAGES", [])
    assert len(list(command_lines.nothing_to_check())) == 2


def test_named_test_that_is_not_there_is_found(docs):
    here = "tests/docs/test_static_checks.py"
    path = write(docs, f"`{here}::test_gone`, `{here}::write`, `tests/gone.py`, `tests/gone/`\n")
    assert [text for text in named_tests.findings([path]) if text.startswith("a.md")] == [
        f"a.md: there is no {here}::test_gone",
        "a.md: there is no tests/gone.py",
        "a.md: there is no tests/gone/",
    ]


def test_named_file_that_is_not_there_and_a_package_without_a_word_are_found(docs, tmp_path):
    for name in ("gate", "novelty"):
        (tmp_path / "tm_cli" / name).mkdir(parents=True)
        (tmp_path / "tm_cli" / name / "__init__.py").touch()
    write(docs, "`gate/`, `docs/a.md` and `gate/gone.py`\n", "architecture.md")
    write(docs, "")
    write(tmp_path, "`tm_cli/gate/`\n", "CONTRIBUTING.md")
    assert list(named_files.findings(tmp_path)) == [
        "docs/architecture.md: there is no gate/gone.py",
        "docs/architecture.md: says nothing about novelty/",
    ]


def test_promise_without_a_test_is_found(docs):
    path = write(docs, "| Promise | Proof |\n|---|---|\n| No harm. | believe us |\n")
    no_test, too_few = named_tests.unproven(path)
    assert no_test == "a.md: no test proves: No harm."
    assert "has 1 promises" in too_few


def test_missing_help_is_found():
    option = SimpleNamespace(name="wait", help="", hidden=False)
    leaf = SimpleNamespace(help="Start it.", hidden=False, params=[option])
    assert list(help_texts.findings([(("runs", "start"), leaf)])) == [
        "tm runs start: shows no example",
        "tm runs start: wait has no help",
    ]


def test_stale_file_is_found(monkeypatch):
    monkeypatch.setattr(reference, "schema_text", lambda _kind: "another text")
    kinds = ("profile", "settings", "report")
    stale = {f"docs/schemas/{kind}-1.json is stale; run: make docs" for kind in kinds}
    assert set(generated.findings()) == stale


def test_generator_that_fails_without_a_word_is_noticed():
    assert len(list(generated.findings([lambda _arguments: 1]))) == 1


def test_finding_fails_the_lint(monkeypatch, capsys):
    monkeypatch.setitem(check.CHECKS, "links", lambda: ["README.md: gone"])
    assert check.main(["links"]) == 1
    assert capsys.readouterr().out == "links: README.md: gone\n"


def test_clean_check_passes_and_an_unknown_one_is_refused():
    assert check.main(["generated"]) == 0
    assert check.main(["lniks"]) == 64


@pytest.fixture
def package(tmp_path):
    """Write modules of a package like tm_cli, and check them."""

    def check_modules(**sources):
        for name, source in {"errors": "", **sources}.items():
            path = tmp_path / "tm_cli" / (name.replace("__", "/") + ".py")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(source, encoding="utf-8")
        return list(architecture.findings(tmp_path / "tm_cli"))

    return check_modules


@pytest.mark.parametrize(
    ("module", "source", "problem"),
    [
        ("gate__policy", "from tm_cli.render.tables import table", "gate may not import render"),
        ("gate__policy", "from tm_cli import commands", "gate may not import commands"),
        ("gate__policy", "def f():\n    import tm_cli.api.client", "gate may not import api"),
        ("novelty", "import tm_cli.errors", "novelty is not a known part"),
        ("commands__runs__app", "from tm_cli.server import server", "which only"),
        ("commands__runs__app", "import httpx2", "which only"),
        ("gate__policy", "from rich.live import Live", "which only"),
        ("gate__policy", "import os\nhome = os.environ['HOME']", "uses os.environ"),
        ("gate__policy", "import time\ntime.sleep(1)", "uses time.sleep"),
    ],
)
def test_import_that_breaks_a_rule_is_found(package, module, source, problem):
    [found] = package(**{module: source})
    assert found.startswith(module.replace("__", "/"))
    assert problem in found


def test_imports_that_follow_the_rules_are_not_found(package):
    assert (
        package(
            gate__policy="from tm_cli.errors import TmError\nfrom tm_cli.gate import model",
            gate__model="import tm_cli\nfrom tm_cli import __version__\nimport typing",
            api__transport="import httpx2",
            runtime__clock="import time\ntime.sleep(1)",
        )
        == []
    )


@pytest.mark.parametrize(
    "source",
    [
        "def f():\n    import tm_cli.gate.a",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from tm_cli.gate.a import A",
    ],
)
def test_circle_of_imports_is_found(package, source):
    now = package(gate__a="import tm_cli.gate.b", gate__b="from tm_cli.gate.a import A")
    assert now == ["import each other: tm_cli.gate.a, tm_cli.gate.b"]
    later = package(gate__b=source)
    assert later == [
        "import each other, at least once inside a function: tm_cli.gate.a, tm_cli.gate.b"
    ]
