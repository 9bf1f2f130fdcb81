"""Domains whose owner has agreed to load: how that is shown, and what it permits."""
