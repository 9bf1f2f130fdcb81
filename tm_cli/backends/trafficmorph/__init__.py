"""TrafficMorph: profiles as files, and their runs for the gate."""
