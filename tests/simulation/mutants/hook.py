"""Imports one module of tm as a mutant makes it."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Sequence
from types import ModuleType

from tests.simulation.mutants.mutant import Mutant


class MutantFinder(importlib.abc.MetaPathFinder):
    """Takes precedence over the usual import of the mutated module."""

    def __init__(self, mutant: Mutant) -> None:
        self._mutant = mutant
        self._code = compile(mutant.source(), str(mutant.path), "exec")

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != self._mutant.module:
            return None
        return importlib.util.spec_from_file_location(
            fullname, self._mutant.path, loader=_CodeLoader(self._code)
        )


class _CodeLoader(importlib.abc.Loader):
    def __init__(self, code: object) -> None:
        self._code = code

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        exec(self._code, module.__dict__)  # type: ignore[arg-type]


def install(mutant: Mutant) -> None:
    """From now on, importing the module gives the mutant; it must not be imported yet."""
    if mutant.module in sys.modules:
        raise RuntimeError(f"{mutant.module} is imported already")
    sys.meta_path.insert(0, MutantFinder(mutant))
