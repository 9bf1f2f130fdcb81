"""One mutant: a small text patch in one function, with the harm that it would do."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path

from tests.simulation.system import NAMES

ROOT = Path(__file__).parents[3]


@dataclass(frozen=True, slots=True)
class Mutant:
    """In `function` of `module`, `old`, which must occur there exactly once, becomes `new`.

    `module` is a full dotted name. `function` is a qualified name (`Class.method`); it may also be
    a class or a constant of the module. `why` names the harm. `first` is the check of the subset
    that finds it soonest; the others follow if it does not.
    """

    name: str
    module: str
    function: str
    old: str
    new: str
    why: str
    first: str = "corners"

    @property
    def system(self) -> str:
        """The system whose schedules meet it first."""
        named = set(self.module.split(".")) & set(NAMES)
        return named.pop() if named else "trafficmorph"

    @property
    def path(self) -> Path:
        """The file of the module, found without importing it."""
        place = ROOT.joinpath(*self.module.split("."))
        package = place / "__init__.py"
        return package if package.is_file() else place.with_suffix(".py")

    def source(self) -> str:
        """The patched text of the module; raises ValueError when the patch no longer fits."""
        try:
            text = self.path.read_text(encoding="utf-8")
        except OSError as error:
            raise ValueError(f"{self.name}: there is no module {self.module}") from error
        first, last = self._lines_of_function(ast.parse(text))
        lines = text.split("\n")
        body = "\n".join([*lines[first:last], ""])
        if (count := body.count(self.old)) != 1:
            where = f"{self.module}.{self.function}"
            raise ValueError(f"{self.name}: its old text is {count} times in {where}")
        patched = body.replace(self.old, self.new).removesuffix("\n")
        return "\n".join([*lines[:first], patched, *lines[last:]])

    def _lines_of_function(self, module: ast.Module) -> tuple[int, int]:
        node: ast.AST = module
        for name in self.function.split("."):
            found = [inner for inner in ast.iter_child_nodes(node) if name in _names(inner)]
            if len(found) != 1:
                raise ValueError(f"{self.name}: {self.function} is not once in {self.module}")
            node = found[0]
        return node.lineno - 1, node.end_lineno  # type: ignore[attr-defined]


def _names(node: ast.AST) -> set[str]:
    """The names that a statement gives to a function, a class or a constant."""
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            return {node.name}
        case ast.Assign():
            return {target.id for target in node.targets if isinstance(target, ast.Name)}
        case ast.AnnAssign(target=ast.Name() as target):
            return {target.id}
    return set()
