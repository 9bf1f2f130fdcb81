"""Reads makefiles. Pure."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from tm_cli.setup.check.gate_commands import Step, find_calls
from tm_cli.setup.check.model import Remark

_SETTING = re.compile(r"^ *(?:(export|override)\s+)?(\w+)\s*[?:+]{0,3}=\s*([^#]*?)\s*(?:#.*)?$")
_RULE = re.compile(r"^([^\s#:=][^#:=]*?)\s*::?(?!=)([^;#]*)(?:;([^#]*))?")
_REFERENCE = re.compile(r"\$[({](\w+)[)}]")
_FORGIVING_FLAGS = re.compile(r"(?:^|\s)(?:-\w*i\w*|--ignore-errors)(?:\s|$)")
_TM = re.compile(r"(?:\S*[/\\])?tm(?:\.exe)?|\S*python\S* -m tm_cli")


@dataclass(frozen=True, slots=True)
class Makefile:
    """Recipes and prerequisites by target, and variables; `exported` are those for commands."""

    recipes: Mapping[str, list[str]]
    needs: Mapping[str, list[str]]
    variables: Mapping[str, str]
    exported: Mapping[str, str]


def read_makefile(text: str) -> Makefile:
    """Return what is in a makefile; conditions count as met."""
    recipes: defaultdict[str, list[str]] = defaultdict(list)
    needs: defaultdict[str, list[str]] = defaultdict(list)
    variables: dict[str, str] = {}
    exported: dict[str, str] = {}
    targets: list[str] = []
    for line in text.replace("\\\n", " ").splitlines():
        if line.startswith("\t"):
            for target in targets:
                recipes[target].append(line.strip())
        elif found := _SETTING.match(line):
            variables[found[2]] = found[3]
            if found[1] == "export":
                exported[found[2]] = found[3]
        elif found := _RULE.match(line):
            targets = found[1].split()
            for target in targets:
                needs[target] += found[2].split()
                recipes[target] += [found[3].strip()] if found[3] else []
    return Makefile(recipes, needs, variables, exported)


def make_steps(text: str) -> Iterator[Step]:
    """Return the targets of a makefile as steps."""
    makefile = read_makefile(text)
    for target, recipe in makefile.recipes.items():
        yield _step(target, recipe, makefile)


def gate_targets(texts: Iterable[str]) -> frozenset[str]:
    """Return the targets that run a gate, themselves or by what they need."""
    makefiles = [read_makefile(text) for text in texts]
    found = {
        target
        for makefile in makefiles
        for target, recipe in makefile.recipes.items()
        if _step(target, recipe, makefile).gates
    }
    size = -1
    while size != len(found):
        size = len(found)
        for makefile in makefiles:
            found |= {name for name, needed in makefile.needs.items() if found & set(needed)}
    return frozenset(found - {".PHONY"})


def _step(target: str, recipe: list[str], makefile: Makefile) -> Step:
    lines = [_expanded(line, makefile.variables) for line in recipe]
    scripts = ["\n".join(lines)] if ".ONESHELL" in makefile.needs else lines
    calls, doubts, remarks = [], [], []
    for script in scripts:
        bare = script.lstrip("@+- ")
        found, unread = find_calls(bare)  # each line is a script of its own
        calls += found
        doubts += unread
        if "-" in script[: len(script) - len(bare)] and any(call.is_gate for call in found):
            remarks.append(Remark("a `-` before the command makes every exit code a success"))
    return Step(
        place=target,
        calls=tuple(calls),
        environ=makefile.exported,
        remarks=(*remarks, *_forgiven(target, makefile), *_other_program(recipe, makefile)),
        doubts=tuple(doubts),
        installs=tuple(makefile.variables.get("TM_PACKAGE", "").splitlines()),
    )


def _expanded(line: str, variables: Mapping[str, str]) -> str:
    """The line with `tm` for the variables that stand for it."""

    def value(found: re.Match[str]) -> str:
        is_tm = found[1] == "TM" or _TM.fullmatch(variables.get(found[1], ""))
        return "tm" if is_tm else f"${found[1]}"

    return _REFERENCE.sub(value, line).replace("$$", "$")


def _forgiven(target: str, makefile: Makefile) -> Iterator[Remark]:
    ignored = makefile.needs.get(".IGNORE")
    if ignored is not None and (not ignored or target in ignored):
        yield Remark(".IGNORE makes every exit code a success")
    if _FORGIVING_FLAGS.search(makefile.variables.get("MAKEFLAGS", "")):
        yield Remark("MAKEFLAGS makes every exit code a success")


def _other_program(recipe: list[str], makefile: Makefile) -> Iterator[Remark]:
    program = makefile.variables.get("TM")
    used = any("$(TM)" in line or "${TM}" in line for line in recipe)
    if used and program is not None and not _TM.fullmatch(program) and "$" not in program:
        yield Remark(f"TM is `{program}`, not tm")
