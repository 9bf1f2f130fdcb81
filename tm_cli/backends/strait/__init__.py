"""Job runs of a Strait server, in the words of the gate."""
