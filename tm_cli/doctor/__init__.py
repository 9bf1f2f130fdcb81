"""Looks whether a gate can work here: small checks, each with a finding and its fix."""
