"""All mutants by name."""

from faults.mutants import of_the_gate, of_the_wire

MUTANTS = {mutant.name: mutant for mutant in (*of_the_gate.MUTANTS, *of_the_wire.MUTANTS)}
