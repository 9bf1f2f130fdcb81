"""Reads makefiles."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tm_cli.setup.check.model import Job, Remark, Script, problem

_SETTING = re.compile(r"^ *(?:(export|override)\s+)?(\w+)\s*[?:+]{0,3}=\s*([^#]*?)\s*(?:#.*)?$")
_RULE = re.compile(r"^([^\s#:=][^#:=]*?)\s*::?(?!=)([^;#]*)(?:;([^#]*))?")
_REFERENCE = re.compile(r"\$[({](\w+)[)}]")
_FORGIVING_FLAGS = re.compile(r"(?:^|\s)(?:-\w*i\w*|--ignore-errors)(?:\s|$)")


@dataclass(frozen=True, slots=True)
class Makefile:
    """Recipes and prerequisites by target, and variables; `exported` are those for commands."""

    recipes: Mapping[str, list[str]]
    needs: Mapping[str, list[str]]
    variables: Mapping[str, str]
    exported: Mapping[str, str]

    def jobs(self) -> Iterator[Job]:
        """Return the targets with recipes; each line is a script of its own."""
        for target, recipe in self.recipes.items():
            lines = [self._expanded(line) for line in recipe]
            scripts = ["\n".join(lines)] if ".ONESHELL" in self.needs else lines
            yield Job(
                target,
                tuple(map(_script, scripts)),
                environ=self.exported,
                remarks=tuple(self._forgiven(target)),
            )

    def _expanded(self, line: str) -> str:
        """The line with the values of variables, `tm` for a TM that comes from elsewhere."""
        known = {"TM": "tm", **self.variables}

        def value(found: re.Match[str]) -> str:
            text = known.get(found[1], "$")
            return f"${found[1]}" if "$" in text else text

        return _REFERENCE.sub(value, line).replace("$$", "$")

    def _forgiven(self, target: str) -> Iterator[Remark]:
        ignored = self.needs.get(".IGNORE")
        if ignored is not None and (not ignored or target in ignored):
            yield problem(".IGNORE makes every exit code a success")
        if _FORGIVING_FLAGS.search(self.variables.get("MAKEFLAGS", "")):
            yield problem("MAKEFLAGS makes every exit code a success")


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


def targets_that_need(found: set[str], makefiles: Sequence[Makefile]) -> set[str]:
    """Return the targets in `found` and all that need one of them."""
    size = -1
    while size != len(found):
        size = len(found)
        for makefile in makefiles:
            found = found | {name for name, needs in makefile.needs.items() if found & set(needs)}
    return found - {".PHONY"}


def _script(line: str) -> Script:
    bare = line.lstrip("@+- ")
    ignored = "-" in line[: len(line) - len(bare)]
    lost = "a `-` before the command makes every exit code a success" if ignored else None
    return Script(bare, lost=lost)
