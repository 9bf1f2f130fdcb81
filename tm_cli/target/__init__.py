"""The target on this machine: the service that a gate starts, and what is recorded of it."""
