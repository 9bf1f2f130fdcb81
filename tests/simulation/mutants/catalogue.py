"""All mutants by name."""

from tests.simulation.mutants import of_runloop, of_strait, of_the_gate, of_the_wire

LISTS = (of_the_gate.MUTANTS, of_the_wire.MUTANTS, of_runloop.MUTANTS, of_strait.MUTANTS)
MUTANTS = {mutant.name: mutant for mutants in LISTS for mutant in mutants}
